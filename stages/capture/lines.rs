//! Bytes as lines of bounded length, with the byte and the line number at which each begins, and a digest of all before it.
//!
//! Knows nothing of what a line means.

use std::io::{self, BufRead};

use sha2::{Digest, Sha256};

use super::utterance::{self, Before, Place};

/// The longest line that is taken in: 1 MiB.
pub const LONGEST: usize = 1 << 20;

/// One line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It is in the buffer, without its end.
    Whole,
    /// It was longer than [`LONGEST`] and has been passed over.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// Goes to a place further on, where an earlier life stopped reading; says whether what is before it is what that life read. A place of
    /// which that is not known passes.
    pub fn pass_to(&mut self, place: Place) -> io::Result<bool> {
        while self.byte < place.byte {
            let available = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let wanted = usize::try_from(place.byte - self.byte).unwrap_or(usize::MAX).min(available.len());
            if wanted == 0 {
                return Ok(false);
            }
            self.before.update(available.get(..wanted).unwrap_or_default());
            self.reader.consume(wanted);
            self.byte += wanted as u64;
        }
        self.line = self.line.max(place.line);
        Ok(self.byte != place.byte || place.before.is_none_or(|before| before == self.before()))
    }
}

/// Lines one after the other.
pub struct Lines<R> {
    reader: R,
    /// Byte at which the next line begins.
    byte: u64,
    /// Lines read so far.
    line: u64,
    /// Of all bytes before the next line.
    before: Sha256,
}

impl<R: BufRead> Lines<R> {
    /// Lines of a reader that stands at this byte, after this many lines.
    pub fn at(reader: R, byte: u64, line: u64) -> Self {
        Self { reader, byte, line, before: Sha256::new() }
    }

    /// Byte at which the next line begins.
    pub fn byte(&self) -> u64 {
        self.byte
    }

    /// Lines read so far: the number, from 1, of the line read last.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The first bytes of the SHA-256 of all that was read so far.
    pub fn before(&self) -> Before {
        utterance::first(&self.before.clone().finalize())
    }

    /// The reader beneath.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Appends the next line to `line`, without its `\n` or `\r\n`; `None` at the end.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Line>> {
        let (start, mut seen) = (line.len(), 0);
        let mut kept = true;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            let text = available.get(..end.unwrap_or(taken)).unwrap_or_default();
            kept = kept && line.len() - start + text.len() <= LONGEST;
            if kept {
                line.extend_from_slice(text);
            }
            self.before.update(available.get(..taken).unwrap_or_default());
            self.reader.consume(taken);
            self.byte += taken as u64;
            seen += taken;
            if end.is_some() || taken == 0 {
                break;
            }
        }
        if seen == 0 {
            return Ok(None);
        }
        self.line += 1;
        if !kept {
            line.truncate(start);
            return Ok(Some(Line::TooLong));
        }
        if line.len() > start && line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(Line::Whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(bytes: &[u8], capacity: usize) -> Vec<(String, u64, u64)> {
        let mut lines = Lines::at(BufReader::with_capacity(capacity, bytes), 0, 0);
        let (mut all, mut line) = (Vec::new(), Vec::new());
        while let Some(kind) = lines.next(&mut line).unwrap() {
            let text = match kind {
                Line::Whole => String::from_utf8_lossy(&line).into_owned(),
                Line::TooLong => "too long".to_owned(),
            };
            all.push((text, lines.byte(), lines.line()));
            line.clear();
        }
        all
    }

    #[test]
    fn lines_and_their_places() {
        let check = |bytes: &str, expected: &[(&str, u64)]| {
            for capacity in [1, 3, 8192] {
                let told = read(bytes.as_bytes(), capacity);
                let told: Vec<_> = told.iter().map(|(text, byte, _)| (text.as_str(), *byte)).collect();
                assert_eq!(told, expected, "{bytes:?} by {capacity}");
            }
        };
        check("", &[]);
        check("\n", &[("", 1)]);
        check("a\nb", &[("a", 2), ("b", 3)]);
        check("a\r\n\r\nb\r", &[("a", 3), ("", 5), ("b", 7)]);
        check("a\rb\n", &[("a\rb", 4)]);
    }

    #[test]
    fn what_was_read_before_a_place_is_known_again() {
        let place_in = |text: &str, lines: usize| {
            let mut reading = Lines::at(text.as_bytes(), 0, 0);
            for _ in 0..lines {
                reading.next(&mut Vec::new()).unwrap();
            }
            Place {
                byte: reading.byte(),
                line: reading.line(),
                before: Some(reading.before()),
                ..Place::default()
            }
        };
        let check = |now: &str, place: Place, same: bool, rest: &str| {
            for capacity in [1, 3, 8192] {
                let mut lines = Lines::at(BufReader::with_capacity(capacity, now.as_bytes()), 0, 0);
                assert_eq!(lines.pass_to(place).unwrap(), same, "{now:?}");
                let mut line = Vec::new();
                while same && lines.next(&mut line).unwrap().is_some() {}
                assert_eq!(String::from_utf8_lossy(&line), rest, "{now:?}");
            }
        };
        let place = place_in("one\ntwo\n", 2);
        check("one\ntwo\nthree\n", place, true, "three");
        check("one\ntwo\n", place, true, "");
        check("one\ntwq\nthree\n", place, false, "");
        check("one\n", place, false, "");
        check("", place, false, "");
        check("one\ntwq\nthree\n", Place { before: None, ..place }, true, "three");
        check("one\ntwo", place_in("one\ntwo", 0), true, "onetwo");
    }

    #[test]
    fn a_long_line_is_passed_over() {
        let text = format!("a\n{}\n{}\nb", "x".repeat(LONGEST), "y".repeat(LONGEST + 1));
        let told = read(text.as_bytes(), 8192);
        let lengths: Vec<_> = told.iter().map(|(text, _, line)| (text.len(), *line)).collect();
        assert_eq!(lengths, [(1, 1), (LONGEST, 2), ("too long".len(), 3), (1, 4)]);
    }
}
