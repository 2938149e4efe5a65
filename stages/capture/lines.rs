//! Bytes as lines of bounded length, with the byte and the line number at which each begins, and a digest of all before it.
//!
//! Lines can be given back and come again. Knows nothing of what a line means.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use sha2::{Digest, Sha256};

use super::utterance::{self, Place, PrefixDigest};

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

/// Where a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// At `\n` or `\r\n`.
    Newline,
    /// At a `\r` alone, too.
    Return,
}

/// Behind a line: the byte and the number of lines, and the digest of all before.
#[derive(Debug, Clone)]
pub struct LinePosition {
    byte: u64,
    line: u64,
    before: Sha256,
}

/// A line that was read ahead, and where it ends.
#[derive(Debug, Clone)]
pub struct BufferedLine {
    text: Vec<u8>,
    kind: Line,
    end: LinePosition,
}

impl BufferedLine {
    /// The line, and where it ends.
    pub fn new(text: &[u8], kind: Line, end: LinePosition) -> Self {
        Self { text: text.to_vec(), kind, end }
    }

    /// The line, without its end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

impl<R: BufRead> Lines<R> {
    /// Goes to a place further on, where an earlier attempt stopped reading; returns true if the content before it is what that attempt read. A place of
    /// which that is not known passes.
    pub fn pass_to(&mut self, place: Place) -> io::Result<bool> {
        while self.at.byte < place.byte {
            let available = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let wanted =
                usize::try_from(place.byte - self.at.byte).unwrap_or(usize::MAX).min(available.len());
            if wanted == 0 {
                return Ok(false);
            }
            self.at.before.update(available.get(..wanted).unwrap_or_default());
            self.reader.consume(wanted);
            self.at.byte += wanted as u64;
        }
        self.at.line = self.at.line.max(place.line);
        Ok(self.at.byte != place.byte || place.before.is_none_or(|before| before == self.before()))
    }
}

/// Lines one after the other.
pub struct Lines<R> {
    reader: R,
    ends: Ends,
    /// Where the next line begins.
    at: LinePosition,
    /// Lines that were given back.
    again: VecDeque<BufferedLine>,
    /// True if the end of what is there was met since the last step back, in a line without an end or behind the last.
    cut_off: bool,
}

impl<R: BufRead> Lines<R> {
    /// Lines of a reader that stands at this byte, after this many lines.
    pub fn at(reader: R, byte: u64, line: u64) -> Self {
        let at = LinePosition { byte, line, before: Sha256::new() };
        Self { reader, ends: Ends::Newline, at, again: VecDeque::new(), cut_off: false }
    }

    /// The same with other ends of lines.
    pub fn ending(self, ends: Ends) -> Self {
        Self { ends, ..self }
    }

    /// Byte at which the next line begins.
    pub fn byte(&self) -> u64 {
        self.at.byte
    }

    /// Lines read so far: the number, from 1, of the line read last.
    pub fn line(&self) -> u64 {
        self.at.line
    }

    /// The first bytes of the SHA-256 of all that was read so far.
    pub fn before(&self) -> PrefixDigest {
        utterance::first(&self.at.before.clone().finalize())
    }

    /// Returns true if the line that was read last is not whole: nothing, or no end of a line, stood behind it.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Goes back to a place, where the reader is put: what is read again may be more.
    pub fn go_back(
        &mut self,
        to: LinePosition,
        seek: impl FnOnce(&mut R, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.again.clear();
        self.cut_off = false;
        let byte = to.byte;
        self.at = to;
        seek(&mut self.reader, byte)
    }

    /// Where the next line begins.
    pub fn mark(&self) -> LinePosition {
        self.at.clone()
    }

    /// Goes back to a place, behind which these lines come again, and then what comes next.
    pub fn give_back(&mut self, to: LinePosition, lines: Vec<BufferedLine>) {
        self.at = to;
        let rest = std::mem::take(&mut self.again);
        self.again = lines.into_iter().chain(rest).collect();
    }

    /// The reader beneath.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Appends the next line to `line`, without its end; `None` behind the last.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Line>> {
        if let Some(BufferedLine { text, kind, end }) = self.again.pop_front() {
            line.extend_from_slice(&text);
            self.at = end;
            return Ok(Some(kind));
        }
        let (start, mut seen) = (line.len(), 0);
        let (mut kept, mut returned) = (true, false);
        let ended = loop {
            let available = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // Behind a `\r` at most its `\n` belongs to the line.
            let end = match self.ends {
                _ if returned => Some(0).filter(|_| available.first() == Some(&b'\n')),
                Ends::Newline => available.iter().position(|byte| *byte == b'\n'),
                Ends::Return => available.iter().position(|byte| matches!(byte, b'\n' | b'\r')),
            };
            let taken = end.map_or(if returned { 0 } else { available.len() }, |at| at + 1);
            let is_return = end.and_then(|at| available.get(at)) == Some(&b'\r');
            let text = available.get(..end.unwrap_or(taken)).unwrap_or_default();
            kept = kept && line.len() - start + text.len() <= LONGEST;
            if kept {
                line.extend_from_slice(text);
            }
            self.at.before.update(available.get(..taken).unwrap_or_default());
            self.reader.consume(taken);
            self.at.byte += taken as u64;
            seen += taken;
            if (end.is_some() && !is_return) || taken == 0 {
                break end.is_some() || returned;
            }
            returned = is_return;
        };
        self.cut_off = !ended;
        if seen == 0 {
            return Ok(None);
        }
        self.at.line += 1;
        if !kept {
            line.truncate(start);
            return Ok(Some(Line::TooLong));
        }
        if self.ends == Ends::Newline && line.len() > start && line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(Line::Whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(bytes: &[u8], capacity: usize, ends: Ends) -> Vec<(String, u64, u64)> {
        let mut lines = Lines::at(BufReader::with_capacity(capacity, bytes), 0, 0).ending(ends);
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
        let check_of = |ends: Ends, bytes: &str, expected: &[(&str, u64)]| {
            for capacity in [1, 3, 8192] {
                let lines = read(bytes.as_bytes(), capacity, ends);
                let lines: Vec<_> = lines.iter().map(|(text, byte, _)| (text.as_str(), *byte)).collect();
                assert_eq!(lines, expected, "{bytes:?} by {capacity}");
            }
        };
        let check = |bytes: &str, expected: &[(&str, u64)]| check_of(Ends::Newline, bytes, expected);
        check("", &[]);
        check("\n", &[("", 1)]);
        check("a\nb", &[("a", 2), ("b", 3)]);
        check("a\r\n\r\nb\r", &[("a", 3), ("", 5), ("b", 7)]);
        check("a\rb\n", &[("a\rb", 4)]);
        let check = |bytes: &str, expected: &[(&str, u64)]| check_of(Ends::Return, bytes, expected);
        check("", &[]);
        check("\n", &[("", 1)]);
        check("a\nb", &[("a", 2), ("b", 3)]);
        check("a\r\n\r\nb\r", &[("a", 3), ("", 5), ("b", 7)]);
        check("a\rb\n", &[("a", 2), ("b", 4)]);
        check("a\r\rb\n\r", &[("a", 2), ("", 3), ("b", 5), ("", 6)]);
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
    fn lines_that_were_given_back_come_again() {
        let text = b"one\ntwo\nthree\nfour\n";
        let mut lines = Lines::at(&text[..], 0, 0);
        let next = |lines: &mut Lines<&[u8]>| {
            let mut line = Vec::new();
            let kind = lines.next(&mut line).unwrap()?;
            Some(BufferedLine::new(&line, kind, lines.mark()))
        };
        next(&mut lines);
        let first = lines.mark();
        let (two, three) = (next(&mut lines).unwrap(), next(&mut lines).unwrap());
        lines.give_back(first, vec![two.clone(), three]);
        assert_eq!((lines.byte(), lines.line()), (4, 1));
        let second = next(&mut lines).unwrap();
        assert_eq!((&second.text, lines.byte(), lines.line()), (&two.text, 8, 2));
        // Given back again before the rest came, it stands before the rest.
        lines.give_back(LinePosition { byte: 4, ..second.end.clone() }, vec![second]);
        let rest = |lines: &mut Lines<&[u8]>| {
            let texts = std::iter::from_fn(|| next(lines)).map(|a| String::from_utf8(a.text).unwrap());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(rest(&mut lines), ["two", "three", "four"]);
        let mut plain = Lines::at(&text[..], 0, 0);
        rest(&mut plain);
        assert_eq!(
            (lines.byte(), lines.line(), lines.before()),
            (plain.byte(), plain.line(), plain.before())
        );
    }

    #[test]
    fn a_long_line_is_passed_over() {
        let text = format!("a\n{}\n{}\nb", "x".repeat(LONGEST), "y".repeat(LONGEST + 1));
        let lines = read(text.as_bytes(), 8192, Ends::Newline);
        let lengths: Vec<_> = lines.iter().map(|(text, _, line)| (text.len(), *line)).collect();
        assert_eq!(lengths, [(1, 1), (LONGEST, 2), ("too long".len(), 3), (1, 4)]);
    }
}
