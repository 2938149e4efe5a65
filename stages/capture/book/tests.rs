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

    /// One life from a place on, which hears at most so many recordings: what it heard, as device and first seq by name, and the place
    /// and the notes that it leaves.
    fn life(&self, saved: &mut StateTable, place: Place, most: usize) -> (Vec<String>, Found, Place) {
        let mut book = Book::open(self.0.path(), saved).unwrap();
        let takes = recordings::list(self.0.path(), "home", false).unwrap();
        if book.is_empty() {
            book.adopt(&takes, place);
        }
        let (queue, found) = book.unheard(takes, place);
        let (mut heard, mut place) = (Vec::new(), place);
        for mut take in queue.into_iter().take(most) {
            book.begin(&mut take);
            let name = take.path.strip_prefix(self.0.path()).unwrap().display();
            heard.push(format!("{name} {} {}", take.device, take.first_seq / SEQS));
            place = Place { file: take.number.unwrap() + 1, ..Place::default() };
        }
        while let Some((key, row)) = book.note() {
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
    let (heard, found, place) = folder.life(&mut saved, Place::default(), 9);
    assert_eq!(heard, ["den/1.wav den 0", "den/3.wav den 1", "hall/1.wav hall 0"]);
    assert_eq!(found, Found { new: 3, ..Found::default() });
    folder.put("den/2.wav", "two");
    folder.put("attic/0.wav", "attic");
    let (heard, found, place) = folder.life(&mut saved, place, 9);
    assert_eq!(heard, ["attic/0.wav attic 0", "den/2.wav den 2"]);
    assert_eq!(found, Found { new: 2, known: 3, ..Found::default() });
    let (heard, found, _) = folder.life(&mut saved, place, 9);
    assert_eq!((heard.len(), found), (0, Found { known: 5, ..Found::default() }));
}

#[test]
fn what_is_renamed_or_changed_is_told_from_what_is_new() {
    let folder = Folder::new(&[("den/1.wav", "one"), ("den/2.wav", "two"), ("den/4.wav", "four")]);
    let mut saved = StateTable::default();
    let (_, _, place) = folder.life(&mut saved, Place::default(), 9);
    folder.rename("den/1.wav", "den/9.wav");
    folder.put("den/2.wav", "two, mended");
    folder.put("den/3.wav", "one");
    folder.put("hall/4.wav", "four");
    let (heard, found, place) = folder.life(&mut saved, place, 9);
    // Of two copies of what is gone the first is what was renamed; a copy at another device is a recording of its own.
    assert_eq!(heard, ["den/2.wav den 3", "den/9.wav den 4", "hall/4.wav hall 0"]);
    assert_eq!(found, Found { new: 2, known: 1, changed: 1, renamed: 1 });
    let (heard, found, _) = folder.life(&mut saved, place, 9);
    assert_eq!((heard.len(), found), (0, Found { known: 5, ..Found::default() }));
}

/// A life that was cut off goes on with what it had begun, whatever was put before it.
#[test]
fn what_was_begun_comes_first() {
    let folder = Folder::new(&[("den/2.wav", "two"), ("den/4.wav", "four"), ("den/6.wav", "six")]);
    let mut saved = StateTable::default();
    let (heard, _, place) = folder.life(&mut saved, Place::default(), 2);
    assert_eq!((heard.len(), place.file), (2, 2));
    // Some of the second was given: what is committed is behind the first.
    let place = Place { file: 1, items: 3, ..Place::default() };
    folder.put("den/1.wav", "one");
    let (heard, found, _) = folder.life(&mut saved, place, 9);
    assert_eq!(heard, ["den/4.wav den 1", "den/1.wav den 2", "den/6.wav den 3"]);
    assert_eq!(found, Found { new: 2, known: 2, ..Found::default() });
}

/// What a life without notes took in is known by its place in the list.
#[test]
fn lives_without_notes_are_adopted() {
    let folder = Folder::new(&[("den/1.wav", "one"), ("den/2.wav", "two"), ("den/3.wav", "three")]);
    let mut saved = StateTable::default();
    let (heard, found, place) = folder.life(&mut saved, Place { file: 1, items: 4, ..Place::default() }, 1);
    assert_eq!(heard, ["den/2.wav den 1"]);
    assert_eq!(found, Found { new: 1, known: 2, ..Found::default() });
    folder.put("den/0.wav", "zero");
    let (heard, ..) = folder.life(&mut saved, place, 9);
    assert_eq!(heard, ["den/0.wav den 2", "den/3.wav den 3"]);
}

#[test]
fn notes_come_back_and_hold_no_name() {
    let entry =
        Entry { path: digest(b"porch/1.wav"), device: digest(b"porch"), content: digest(b"x"), ordinal: 7 };
    let (key, row) = written(300, &entry).unwrap();
    assert_eq!(read(&key, &row).unwrap(), (300, entry));
    assert!(read(b"7", &row).is_err() && read(&key, &row.project(&[0, 1, 2]).unwrap()).is_err());
    assert!(!format!("{row:?}").contains("porch"));
}
