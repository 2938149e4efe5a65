//! Names of files: what in a path is personal data.
//!
//! In: a path, as rows name the file that they come from. Out: findings. A name has no blanks and few capitals: its words stand between
//! `_`, `-`, `.` and `/`, and its numbers are counts and times of recordings, which stay. It must not know what the file holds.

use std::sync::LazyLock;

use regex::Regex;

use super::scanner::{Finding, Profile, Scanner};

/// The time of a file as recorders and rotated logs write it: a date of this century, and perhaps a time of day.
static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let (date, time) = (r"20\d\d[-_.]?\d\d[-_.]?\d\d", r"\d\d[-_.:]?\d\d(?:[-_.:]?\d\d)?");
    Regex::new(&format!(r"{date}(?:[T _-]?{time}(?:\.\d+)?Z?)?")).ok()
});

impl Scanner {
    /// The personal data in the path of a file.
    pub fn scan_file_name(&self, path: &str) -> Vec<Finding> {
        // What no form, checksum or phrase announces is a count here.
        let scanner = self.clone().in_profile(Profile::Text);
        let (plain, mut found, mut at) = (without_stamps(path), Vec::new(), 0);
        for name in plain.split_inclusive('/') {
            let folder = name.strip_suffix('/');
            // A suffix is no word of a name.
            let stem = name.rfind('.').unwrap_or(name.len());
            let inside = scanner.scan_name(folder.unwrap_or(name), folder.map_or(stem, str::len));
            found.extend(inside.into_iter().map(|f| Finding { start: at + f.start, end: at + f.end, ..f }));
            at += name.len();
        }
        found
    }

    /// The personal data in the name of one file or folder, whose words stand before this byte.
    fn scan_name(&self, name: &str, words_end: usize) -> Vec<Finding> {
        let words = |c: char| if matches!(c, '_' | '-' | '.') { ' ' } else { c };
        let spaced: String = name.chars().map(words).collect();
        let spoken = spaced.get(..words_end).unwrap_or_default();
        let titled = titled(spoken);
        let mut texts = [spoken, &titled, name];
        if name.contains('@') {
            // An address is cut into pieces where its dots are blanks.
            texts.reverse();
        }
        let mut found: Vec<Finding> = Vec::new();
        for text in texts {
            let is_new = |new: &Finding| {
                let value = text.get(new.start..new.end).unwrap_or_default();
                let has_digits = value.contains(|c: char| c.is_ascii_digit());
                // Counts that stand side by side are no number.
                let side_by_side = has_digits && (text != name || value.contains('_'));
                !side_by_side && found.iter().all(|old| new.end <= old.start || old.end <= new.start)
            };
            let fresh: Vec<Finding> = self.scan(text).into_iter().filter(is_new).collect();
            found.extend(fresh);
        }
        found.sort_by_key(|finding| finding.start);
        found
    }
}

/// The path with blanks in place of its stamps, which are not the data of a person. A number that only contains one stays.
fn without_stamps(path: &str) -> String {
    let mut plain = path.to_owned();
    let digit = |at: usize| path.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    for stamp in STAMP.iter().flat_map(|stamp| stamp.find_iter(path)) {
        let apart = !digit(stamp.end()) && stamp.start().checked_sub(1).is_none_or(|before| !digit(before));
        if apart {
            plain.replace_range(stamp.range(), &" ".repeat(stamp.len()));
        }
    }
    plain
}

/// Every word with a capital, at the same places: a letter whose capital has another length stays as it is.
fn titled(text: &str) -> String {
    let mut begins = true;
    let title = |c: char| {
        let capital = c.to_uppercase().next().filter(|capital| begins && capital.len_utf8() == c.len_utf8());
        begins = !c.is_alphanumeric();
        capital.unwrap_or(c)
    };
    text.chars().map(title).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let mut wrong = Vec::new();
        let mut check = |path: &str, expected: &str| {
            let scanner = Scanner::default();
            let text = scanner.tagged(path, &scanner.scan_file_name(path)).text;
            wrong.extend((text != expected).then(|| format!("{text}, not {expected}")));
        };
        for stays in [
            "000003.flac",
            "kitchen/001.flac",
            "den/2026-03-02T08-15-00.wav",
            "REC_20260302-081500.mp3",
            "20260302081500.flac",
            "84/121123/84-121123-0000.flac",
            "2026-03-02.jsonl",
            "New Recording 5.m4a",
            "Voice_260302_081500.m4a",
            "office/meeting_room_2.wav",
            "rows.jsonl",
            "app.log.1",
            "hallway/front_door_camera.wav",
            "workshop-13/morning_call.ogg",
            "PTT-20260302-WA0001.opus",
        ] {
            check(stays, stays);
        }
        check("calls/Rosa_Lindqvist_20260302.wav", "calls/<PERSON>_20260302.wav");
        check("calls/rosa_lindqvist.wav", "calls/<PERSON>.wav");
        check("calls/maria_schmidt_call.wav", "calls/<PERSON>_call.wav");
        check("Anna Kowalska 3.m4a", "<PERSON> 3.m4a");
        check("interview-with-sarah.mp3", "interview-with-<PERSON>.mp3");
        check("john-smith/1.wav", "<PERSON>/1.wav");
        check("rosa@example.com/1.wav", "<EMAIL>/1.wav");
        check("call_+1-415-555-0142_20260302.wav", "call_<PHONE>_20260302.wav");
        check("4111 1111 1111 1111.wav", "<CARD>.wav");
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
