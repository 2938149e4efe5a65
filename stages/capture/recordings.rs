//! The list of recordings: a file, a folder or a manifest in; a list in a fixed order out.
//!
//! Opens no recording. The same folder gives the same list on every machine: names are sorted byte by byte
//! at each level, and nothing is taken from a file's dates: those are read when a recording is begun.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_contract::units::Micros;
use headwater_contract::{Result, StageError};
use headwater_datasets::manifest::{self, Manifest, Recording};

/// Utterances that one recording may have: the n-th of its device has the seqs from n million on. So a
/// recording's seqs do not depend on what is heard in the others, and a repaired file moves none of them.
pub const SEQS: u64 = 1_000_000;

/// A recording to be heard.
#[derive(Debug, Clone)]
pub struct Take {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the folder that was listed; the name alone of a single file.
    pub file: Arc<str>,
    /// The device.
    pub device: Arc<str>,
    /// When its first sample was captured: as its manifest says, else known once it is begun.
    pub captured_at: Option<Micros>,
    /// The first seq of its utterances; the last is `SEQS - 1` more. Until it is begun, what it would be if all before it in the list
    /// had been.
    pub first_seq: u64,
    /// Its number among those that were begun, once it is.
    pub number: Option<u64>,
    /// Its entry in the manifest.
    pub described: Option<Recording>,
    /// Why it cannot be listed further: a folder that the system does not let us read.
    pub barred: Option<String>,
}

/// Lists the recordings at `path`. What a folder without a manifest holds belongs to the device named by
/// the first folder below `path`; what lies beside those folders, to `device`. With `one_device` all is `device`'s,
/// whatever folders and manifests say.
///
/// # Errors
/// The path does not exist, or a manifest is wrong: all its mistakes.
pub fn list(path: &Path, device: &str, one_device: bool) -> Result<Vec<Take>> {
    let Ok(meta) = fs::metadata(path) else { return Err(absent(path)) };
    let only = one_device.then_some(device);
    let root = if meta.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let mut listing = Listing { root, takes: Vec::new(), counts: HashMap::new(), only };
    if meta.is_dir() {
        listing.folder(path, None, device)?;
    } else if path.extension().is_some_and(|suffix| suffix == "toml") {
        listing.manifest(path)?;
    } else {
        listing.file(path.to_owned(), device, None);
    }
    Ok(listing.takes)
}

/// The error for a path that is not there (or not for us to see).
pub(super) fn absent(path: &Path) -> StageError {
    StageError::new(format!("`{}` does not exist", path.display()))
        .expected("a recording, a folder of recordings or a manifest.toml")
        .help("a relative path starts at the working directory")
}

/// A path as rows and reasons name it: below the folder that is read.
pub fn below(root: &Path, path: &Path) -> Arc<str> {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into()
}

struct Listing<'d> {
    /// The folder that is listed.
    root: &'d Path,
    takes: Vec<Take>,
    /// Recordings so far, by device.
    counts: HashMap<Arc<str>, u64>,
    /// The device of all of them.
    only: Option<&'d str>,
}

impl Listing<'_> {
    /// `below`: the device that a folder further up gave its name to.
    fn folder(&mut self, folder: &Path, below: Option<&str>, device: &str) -> Result {
        let manifest = folder.join(manifest::FILE_NAME);
        if manifest.is_file() {
            return self.manifest(&manifest);
        }
        let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                self.file(folder.to_owned(), below.unwrap_or(device), Some(error.to_string()));
                return Ok(());
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            // Hidden files are the system's and the editor's, not recordings. A linked folder could
            // contain itself; a linked file cannot.
            match entry.file_type() {
                _ if shown.starts_with('.') => {}
                Ok(kind) if kind.is_dir() => {
                    self.folder(&entry.path(), Some(below.unwrap_or(&shown)), device)?;
                }
                Ok(kind) if kind.is_symlink() && entry.path().is_dir() => {}
                _ => self.file(entry.path(), below.unwrap_or(device), None),
            }
        }
        Ok(())
    }

    fn manifest(&mut self, path: &Path) -> Result {
        let manifest = Manifest::read(path).map_err(|error| StageError::new(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for recording in manifest.recordings {
            let captured_at = Some(Micros(recording.captured_at.as_microsecond()));
            let (device, ordinal) = self.count(&recording.device);
            let path = folder.join(&recording.file);
            self.takes.push(Take {
                file: below(self.root, &path),
                path,
                device,
                captured_at,
                first_seq: ordinal.saturating_mul(SEQS),
                number: None,
                described: Some(recording),
                barred: None,
            });
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, device: &str, barred: Option<String>) {
        let (device, ordinal) = self.count(device);
        self.takes.push(Take {
            file: below(self.root, &path),
            path,
            device,
            captured_at: None,
            first_seq: ordinal.saturating_mul(SEQS),
            number: None,
            described: None,
            barred,
        });
    }

    fn count(&mut self, device: &str) -> (Arc<str>, u64) {
        let device = self.only.unwrap_or(device);
        if let Some((device, count)) = self.counts.get_key_value(device) {
            let (device, ordinal) = (device.clone(), *count);
            self.counts.insert(device.clone(), ordinal + 1);
            return (device, ordinal);
        }
        let device: Arc<str> = device.into();
        self.counts.insert(device.clone(), 1);
        (device, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn listed(root: &Path) -> Vec<String> {
        let show = |take: &Take| {
            let day = take.captured_at.map(|at| format!(" {}", at.0 / 86_400_000_000)).unwrap_or_default();
            format!("{} {} {}{day}", take.file, take.device, take.first_seq)
        };
        list(root, "home", false).unwrap().iter().map(show).collect()
    }

    const MANIFEST: &str = "format = 'headwater-recordings'\nversion = 1\n\
        [[recording]]\nfile = 'b.wav'\ndevice = 'tin'\ncaptured_at = '1970-01-11T00:00:00Z'\n\
        [[recording]]\nfile = 'a.wav'\ndevice = 'den'\ncaptured_at = '1970-01-12T00:00:00Z'\n\
        [[recording]]\nfile = 'c.wav'\ndevice = 'tin'\ncaptured_at = '1970-01-13T00:00:00Z'\n";

    #[test]
    fn folders_are_sorted_and_name_devices() {
        let root = tree(&[
            ("z.wav", ""),
            ("den/2.wav", ""),
            ("den/1.wav", ""),
            ("den/deep/er/3.wav", ""),
            ("attic/.hidden.wav", ""),
            ("attic/19700201T000000.wav", ""),
            ("a.wav", ""),
            (".git/x.wav", ""),
        ]);
        assert_eq!(
            listed(root.path()),
            [
                "a.wav home 0",
                "attic/19700201T000000.wav attic 0",
                "den/1.wav den 0",
                "den/2.wav den 1000000",
                "den/deep/er/3.wav den 2000000",
                "z.wav home 1000000",
            ]
        );
    }

    #[test]
    fn a_manifest_speaks_for_its_folder() {
        let root = tree(&[("set/manifest.toml", MANIFEST), ("set/unlisted.wav", ""), ("x.wav", "")]);
        assert_eq!(
            listed(root.path()),
            ["set/b.wav tin 0 10", "set/a.wav den 0 11", "set/c.wav tin 1000000 12", "x.wav home 0"]
        );
        let named = |path: &str| -> Vec<String> {
            let takes = list(&root.path().join(path), "home", false).unwrap();
            takes.iter().map(|take| take.file.to_string()).collect()
        };
        assert_eq!(named("set/manifest.toml"), ["b.wav", "a.wav", "c.wav"]);
        assert_eq!(named("x.wav"), ["x.wav"]);
    }

    /// Their seqs are counted as one device's.
    #[test]
    fn all_may_be_one_device_s() {
        let root = tree(&[("set/manifest.toml", MANIFEST), ("den/y.wav", ""), ("x.wav", "")]);
        let takes = list(root.path(), "home", true).unwrap();
        let names: Vec<_> = takes.iter().map(|take| (&*take.device, take.first_seq / SEQS)).collect();
        assert_eq!(names, [("home", 0), ("home", 1), ("home", 2), ("home", 3), ("home", 4)]);
    }

    #[test]
    fn wrong_manifests_and_absent_paths_are_errors() {
        let root = tree(&[("set/manifest.toml", "format = 1\nversion = 2\n")]);
        let error = list(root.path(), "home", false).unwrap_err().to_string();
        assert!(error.contains("manifest.toml:1:10") && error.contains("manifest.toml:2:11"), "{error}");
        let error = list(&root.path().join("absent"), "home", false).unwrap_err().to_string();
        assert!(error.contains("does not exist"), "{error}");
    }
}
