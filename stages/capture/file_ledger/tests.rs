use super::super::recordings;
use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| folder.put(name, text));
        folder
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::create_dir_all(self.0.path().join(to).parent().unwrap()).unwrap();
        fs::rename(self.0.path().join(from), self.0.path().join(to)).unwrap();
    }

    /// One attempt from a place on, over at most so many recordings: what it read, as device and first seq by name, and the place
    /// and the notes that it leaves.
    fn attempt(
        &self,
        saved: &mut StateTable,
        place: Place,
        most: usize,
    ) -> (Vec<String>, ListComparison, Place) {
        let mut file_ledger = FileLedger::open(self.0.path(), saved, TimeZone::UTC).unwrap();
        let takes = recordings::list(self.0.path(), "home", false).unwrap();
        if file_ledger.is_empty() {
            file_ledger.adopt(&takes, place);
        }
        let (queue, found) = file_ledger.unheard(takes, place);
        let (mut heard, mut place) = (Vec::new(), place);
        for mut take in queue.into_iter().take(most) {
            file_ledger.begin(&mut take);
            let name = take.path.strip_prefix(self.0.path()).unwrap().display();
            heard.push(format!("{name} {} {}", take.device, take.first_seq / SEQS));
            place = Place { file: take.number.unwrap() + 1, ..Place::default() };
        }
        while let Some((key, row)) = file_ledger.note() {
            let change = headwater_contract::state::Change { key, row: Some((Owner::default(), row)) };
            saved.apply(vec![change]);
        }
        (heard, found, place)
    }
}

#[test]
fn what_is_put_between_others_is_new_and_moves_none_of_them() {
    let folder = Folder::new(&[("den/1.wav", "one"), ("den/3.wav", "three"), ("hall/1.wav", "hall")]);
    let mut saved = StateTable::default();
    let (heard, found, place) = folder.attempt(&mut saved, Place::default(), 9);
    assert_eq!(heard, ["den/1.wav den 0", "den/3.wav den 1", "hall/1.wav hall 0"]);
    assert_eq!(found, ListComparison { new: 3, ..ListComparison::default() });
    folder.put("den/2.wav", "two");
    folder.put("attic/0.wav", "attic");
    let (heard, found, place) = folder.attempt(&mut saved, place, 9);
    assert_eq!(heard, ["attic/0.wav attic 0", "den/2.wav den 2"]);
    assert_eq!(found, ListComparison { new: 2, known: 3, ..ListComparison::default() });
    let (heard, found, _) = folder.attempt(&mut saved, place, 9);
    assert_eq!((heard.len(), found), (0, ListComparison { known: 5, ..ListComparison::default() }));
}

#[test]
fn what_is_renamed_or_changed_is_told_from_what_is_new() {
    let folder = Folder::new(&[("den/1.wav", "one"), ("den/2.wav", "two"), ("den/4.wav", "four")]);
    let mut saved = StateTable::default();
    let (_, _, place) = folder.attempt(&mut saved, Place::default(), 9);
    folder.rename("den/1.wav", "den/9.wav");
    folder.put("den/2.wav", "two, mended");
    folder.put("den/3.wav", "one");
    folder.put("hall/4.wav", "four");
    let (heard, found, place) = folder.attempt(&mut saved, place, 9);
    // Of two copies of what is gone the first is what was renamed; a copy at another device is a recording of its own.
    assert_eq!(heard, ["den/2.wav den 3", "den/9.wav den 4", "hall/4.wav hall 0"]);
    assert_eq!(found, ListComparison { new: 2, known: 1, changed: 1, renamed: 1 });
    let (heard, found, _) = folder.attempt(&mut saved, place, 9);
    assert_eq!((heard.len(), found), (0, ListComparison { known: 5, ..ListComparison::default() }));
}

/// An attempt after an interruption continues the recordings that were begun, whatever was put before them.
#[test]
fn what_was_begun_comes_first() {
    let folder = Folder::new(&[("den/2.wav", "two"), ("den/4.wav", "four"), ("den/6.wav", "six")]);
    let mut saved = StateTable::default();
    let (heard, _, place) = folder.attempt(&mut saved, Place::default(), 2);
    assert_eq!((heard.len(), place.file), (2, 2));
    // Some of the second was given: what is committed is behind the first.
    let place = Place { file: 1, items: 3, ..Place::default() };
    folder.put("den/1.wav", "one");
    let (heard, found, _) = folder.attempt(&mut saved, place, 9);
    assert_eq!(heard, ["den/4.wav den 1", "den/1.wav den 2", "den/6.wav den 3"]);
    assert_eq!(found, ListComparison { new: 2, known: 2, ..ListComparison::default() });
}

/// Recordings that an attempt without notes took in are known by its place in the list.
#[test]
fn lives_without_notes_are_adopted() {
    let folder = Folder::new(&[("den/1.wav", "one"), ("den/2.wav", "two"), ("den/3.wav", "three")]);
    let mut saved = StateTable::default();
    let (heard, found, place) =
        folder.attempt(&mut saved, Place { file: 1, items: 4, ..Place::default() }, 1);
    assert_eq!(heard, ["den/2.wav den 1"]);
    assert_eq!(found, ListComparison { new: 1, known: 2, ..ListComparison::default() });
    folder.put("den/0.wav", "zero");
    let (heard, ..) = folder.attempt(&mut saved, place, 9);
    assert_eq!(heard, ["den/0.wav den 2", "den/3.wav den 3"]);
}

#[test]
fn notes_come_back_and_hold_no_name() {
    let entry = Entry {
        path: digest(b"porch/1.wav"),
        device: digest(b"porch"),
        content: digest(b"x"),
        ordinal: 7,
        captured_at: Micros(-5),
    };
    let (key, row) = written(300, &entry).unwrap();
    assert_eq!(read(&key, &row).unwrap(), (300, entry));
    assert!(read(b"7", &row).is_err() && read(&key, &row.project(&[0, 1, 2, 3]).unwrap()).is_err());
    assert!(!format!("{row:?}").contains("porch"));
}

/// Found once, the time of a recording stays what it was, whatever becomes of the file's date; a manifest's holds in every attempt.
#[test]
fn the_time_of_a_recording_is_remembered() {
    let folder = Folder::new(&[("den/1.wav", "one"), ("den/2026-03-02T08-15-00.wav", "two")]);
    let dated = |name: &str, seconds: u64| {
        let file = fs::File::options().append(true).open(folder.0.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    let times = |saved: &StateTable| -> Vec<Option<Micros>> {
        let mut file_ledger = FileLedger::open(folder.0.path(), saved, TimeZone::UTC).unwrap();
        let takes = recordings::list(folder.0.path(), "home", false).unwrap();
        let (mut queue, _) = file_ledger.unheard(takes, Place::default());
        queue.iter_mut().for_each(|take| file_ledger.begin(take));
        queue.iter().map(|take| take.captured_at).collect()
    };
    dated("den/1.wav", 1_700_000_000);
    let mut saved = StateTable::default();
    folder.attempt(&mut saved, Place::default(), 9);
    let (modified, named) = (Some(Micros(1_700_000_000_000_000)), Some(Micros(1_772_439_300_000_000)));
    assert_eq!(times(&saved), [modified, named]);
    dated("den/1.wav", 1_800_000_000);
    assert_eq!(times(&saved), [modified, named]);
    assert_eq!(times(&StateTable::default())[0], Some(Micros(1_800_000_000_000_000)));
}
