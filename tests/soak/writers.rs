//! What devices write into the watched folders: recordings and lines of text, at random, and not always whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::Rows;
use crate::chance::Chance;
use crate::site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");
const DEVICES: [&str; 5] = ["attic", "den", "hall", "kitchen", "porch"];
/// How many recordings come in a minute, and how many lines, on the average of the steps.
const PERCENT_OF_RECORDINGS: u64 = 8;

pub struct Recordings {
    folder: PathBuf,
    samples: Vec<PathBuf>,
    count: usize,
    ended: BTreeSet<String>,
    /// Written in halves: what is to come, and when.
    halves: Vec<(PathBuf, Vec<u8>, Instant)>,
}

impl Recordings {
    pub fn new(site: &Site) -> Self {
        let voice = Path::new(HOUSE).join("datasets/voice/kitchen");
        let mut samples: Vec<_> = fs::read_dir(voice).unwrap().map(|entry| entry.unwrap().path()).collect();
        samples.retain(|path| path.extension().is_some_and(|suffix| suffix == "flac"));
        samples.sort();
        Recordings {
            folder: site.path("recordings"),
            samples,
            count: 0,
            ended: BTreeSet::new(),
            halves: Vec::new(),
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// The device writes no more.
    pub fn end(&mut self, device: &str) {
        self.finish(|path| path.parent().is_some_and(|folder| folder.ends_with(device)));
        self.ended.insert(device.to_owned());
    }

    /// Writes second halves at once: before anything that takes longer than a half file may wait for its rest.
    pub fn complete(&mut self) {
        self.finish(|_| true);
    }

    pub fn step(&mut self, chance: &mut Chance) {
        let now = Instant::now();
        self.finish(|_| false);
        if chance.below(100) < PERCENT_OF_RECORDINGS {
            self.write(chance, now);
        }
    }

    /// Writes several recordings at once.
    pub fn burst(&mut self, chance: &mut Chance, recordings: u32) {
        (0..recordings).for_each(|_| self.write(chance, Instant::now()));
    }

    fn write(&mut self, chance: &mut Chance, now: Instant) {
        let (device, sample) = (*chance.pick(&DEVICES), chance.pick(&self.samples).clone());
        if self.ended.contains(device) {
            return;
        }
        self.count += 1;
        let folder = self.folder.join(device);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{:05}.flac", self.count));
        let bytes = fs::read(sample).unwrap();
        let half = bytes.len() / 2;
        match chance.below(10) {
            // Written where it stays, in two halves, with less of a pause than a settled file has.
            0..3 => {
                fs::write(&path, &bytes[..half]).unwrap();
                self.halves.push((
                    path,
                    bytes[half..].to_vec(),
                    now + Duration::from_millis(chance.below(1200)),
                ));
            }
            // Its recorder was killed.
            3 => fs::write(&path, &bytes[..half]).unwrap(),
            // Made elsewhere and renamed.
            4..8 => {
                let hidden = folder.join(".coming");
                fs::write(&hidden, &bytes).unwrap();
                let dated = File::options().append(true).open(&hidden).unwrap();
                dated.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
                fs::rename(hidden, path).unwrap();
            }
            _ => fs::write(&path, &bytes).unwrap(),
        }
    }

    /// Writes second halves that are due, and those of some paths at once.
    fn finish(&mut self, at_once: impl Fn(&Path) -> bool) {
        let now = Instant::now();
        self.halves.retain(|(path, rest, due)| {
            let due = *due <= now || at_once(path);
            if due {
                File::options().append(true).open(path).unwrap().write_all(rest).unwrap();
            }
            !due
        });
    }
}

/// One log of lines per device.
pub struct Lines {
    folder: PathBuf,
    written: Rows,
    count: usize,
    last: String,
    ended: BTreeSet<String>,
    /// Per device: the rest of a line of which the first half is written.
    halves: Vec<(String, String)>,
    rotated: usize,
}

impl Lines {
    pub fn new(site: &Site) -> Self {
        let folder = site.path("logs");
        Lines {
            folder,
            written: Rows::new(),
            count: 0,
            last: String::new(),
            ended: BTreeSet::new(),
            halves: Vec::new(),
            rotated: 0,
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn last(&self) -> &str {
        &self.last
    }

    pub fn written(&self) -> Rows {
        self.written.clone()
    }

    pub fn end(&mut self, device: &str) {
        self.complete_of(device);
        self.ended.insert(device.to_owned());
    }

    /// Writes the rest of every half line.
    pub fn complete(&mut self) {
        for device in DEVICES {
            self.complete_of(device);
        }
    }

    /// Some lines of one device, or a rotation of its log. `stored` tells whether a line has come to the store.
    pub fn step(&mut self, chance: &mut Chance, mut stored: impl FnMut(&str) -> bool) {
        let device = *chance.pick(&DEVICES);
        if self.ended.contains(device) {
            return;
        }
        self.complete_of(device);
        let log = self.log(device);
        match chance.below(200) {
            // Renamed, and begun again.
            0..4 if log.exists() => {
                self.rotated += 1;
                fs::rename(&log, self.folder.join(format!("{device}.{}.jsonl", self.rotated))).unwrap();
            }
            // Emptied where it is, once its last line is safe.
            4..6 if Self::ends_stored(device, &log, &mut stored) => {
                File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
            }
            _ => {
                for _ in 0..chance.below(6) {
                    self.line(device);
                }
                if chance.below(4) == 0 {
                    self.half_line(device);
                }
            }
        }
    }

    fn log(&self, device: &str) -> PathBuf {
        self.folder.join(format!("{device}.jsonl"))
    }

    fn ends_stored(device: &str, log: &Path, mut stored: impl FnMut(&str) -> bool) -> bool {
        let text = fs::read_to_string(log).unwrap_or_default();
        let Some(last) = text.lines().next_back() else { return false };
        let row: serde_json::Value = serde_json::from_str(last).unwrap();
        row["device"].as_str() == Some(device) && stored(row["id"].as_str().unwrap())
    }

    fn row(&mut self, device: &str) -> String {
        self.count += 1;
        let id = letters(self.count);
        let text = format!("the pump in the {device} runs well");
        let row = serde_json::json!({ "device": device, "id": id, "text": text }).to_string();
        self.written.insert((device.to_owned(), id.clone(), text), 1);
        self.last = id;
        row
    }

    fn line(&mut self, device: &str) {
        let row = self.row(device);
        self.append(device, &(row + "\n"));
    }

    fn half_line(&mut self, device: &str) {
        let row = self.row(device) + "\n";
        let (first, rest) = row.split_at(row.len() / 2);
        self.append(device, first);
        self.halves.push((device.to_owned(), rest.to_owned()));
    }

    fn complete_of(&mut self, device: &str) {
        if let Some(at) = self.halves.iter().position(|(of, _)| of == device) {
            let (_, rest) = self.halves.remove(at);
            self.append(device, &rest);
        }
    }

    fn append(&self, device: &str, text: &str) {
        let mut file = File::options().create(true).append(true).open(self.log(device)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

/// A number as letters that read as no word and no number.
fn letters(mut number: usize) -> String {
    let mut word = String::new();
    while number > 0 {
        let digit = number % 20;
        word.push_str(
            [
                "ba", "be", "bo", "da", "de", "do", "fa", "fe", "fo", "ka", "ke", "ko", "la", "le", "lo",
                "ma", "me", "mo", "ta", "to",
            ][digit],
        );
        number /= 20;
    }
    word
}
