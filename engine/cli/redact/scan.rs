//! `headwater redact scan`: texts that come by a pipe, line by line.
//!
//! In: lines of text, or JSON lines `{"id", "device"?, "text"}`. Out: the redacted texts, or `{"id", "spans": [[start, end, "KIND"], ...]}` a
//! line, in the order of the input. Lines of one device are utterances that follow each other: one whose end may go on waits for the
//! next. A line that cannot be read is reported by its number and never shown.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, BufRead, BufWriter, Write};

use headwater_stages::redact::utterances::{self, Before};
use headwater_stages::redact::{Finding, Scanner};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::exit::Exit;

/// The form of the lines of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// JSON lines if the first line that is not blank begins with `{`, else lines of text.
    #[default]
    Detect,
    /// Every line is a text.
    Lines,
    /// Every line is an object with `text` and perhaps `id`.
    JsonLines,
}

/// The unit of offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offsets {
    /// Bytes of UTF-8.
    #[default]
    Bytes,
    /// Unicode code points.
    Chars,
}

/// The form of the output for each text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// The redacted text: a line, or `{"id", "text"}` for JSON lines.
    #[default]
    Text,
    /// `{"id", "spans"}`, one object a line.
    Spans(Offsets),
}

/// The options of a scan.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Finds the personal data.
    pub scanner: Scanner,
    /// The form of the lines.
    pub input: Input,
    /// The form of the output.
    pub output: Output,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// The fault, in words that hold nothing of the record.
    pub reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// The counts of what was read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Texts scanned.
    pub texts: u64,
    /// Entities found.
    pub entities: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// The first of them.
    pub first_bad: Vec<BadLine>,
}

/// As many bad lines are kept for the report.
const BAD_LINES_KEPT: usize = 20;

impl ScanReport {
    /// Fine if every line could be read.
    pub fn exit_code(&self) -> Exit {
        Exit::of_mistakes(self.bad > 0)
    }

    fn reject(&mut self, line: u64, reason: impl Into<String>) {
        self.bad += 1;
        if self.first_bad.len() < BAD_LINES_KEPT {
            self.first_bad.push(BadLine { line, reason: reason.into() });
        }
    }
}

/// A text and what names it.
struct Record {
    id: Value,
    device: Option<String>,
    text: String,
}

/// Scans every line of `input`. A text without an id has its place among the lines, from 0. What is there to be read is answered before
/// more is waited for.
///
/// # Errors
/// Reading or writing fails. A bad line is no error: it is counted in the report.
pub fn scan(mut input: impl BufRead, output: impl Write, options: ScanOptions) -> io::Result<ScanReport> {
    let kind = options.input;
    let output = BufWriter::with_capacity(BUFFERED, output);
    let mut lines =
        Lines { options, kind, output, queue: Queue::default(), number: 0, report: ScanReport::default() };
    // The start of a line whose end is not there yet.
    let mut begun = Vec::new();
    loop {
        let read = match input.fill_buf() {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let length = read.len();
        if length == 0 {
            break;
        }
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            if !piece.ends_with(b"\n") {
                begun.extend_from_slice(piece);
            } else if begun.is_empty() {
                lines.scan(piece)?;
            } else {
                begun.extend_from_slice(piece);
                lines.scan(&begun)?;
                begun.clear();
            }
        }
        input.consume(length);
        lines.output.flush()?;
    }
    if !begun.is_empty() {
        lines.scan(&begun)?;
    }
    lines.write_ready(true)?;
    lines.output.flush()?;
    Ok(lines.report)
}

/// So many bytes are read and written together.
pub const BUFFERED: usize = 1 << 16;

/// The lines of an input, one after the other.
struct Lines<W: Write> {
    options: ScanOptions,
    kind: Input,
    output: BufWriter<W>,
    queue: Queue,
    /// The number of lines that were read.
    number: u64,
    report: ScanReport,
}

impl<W: Write> Lines<W> {
    fn scan(&mut self, line: &[u8]) -> io::Result<()> {
        let line = without_line_end(line);
        let number = self.number;
        self.number += 1;
        if self.kind == Input::Detect && !is_blank(line) {
            let json = line.trim_ascii_start().starts_with(b"{");
            self.kind = if json { Input::JsonLines } else { Input::Lines };
        }
        if self.kind == Input::JsonLines && is_blank(line) {
            return Ok(());
        }
        match read(self.kind, line, number) {
            Ok(record) => {
                self.report.texts += 1;
                self.queue.push(record);
                self.write_ready(false)
            }
            Err(reason) => {
                self.report.reject(number + 1, reason);
                Ok(())
            }
        }
    }

    fn write_ready(&mut self, over: bool) -> io::Result<()> {
        while let Some(waiting) = self.queue.next_ready(over) {
            self.report.entities += waiting.write(&mut self.output, self.kind, &self.options)?;
        }
        Ok(())
    }
}

/// Records in the order of the input, of which some wait for the next one of their device.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The number of records that have left.
    gone: usize,
    devices: HashMap<String, Speaker>,
}

/// The text before and the waiting record of one device.
#[derive(Default)]
struct Speaker {
    before: Before,
    /// The number of its record that waits.
    waits: Option<usize>,
}

/// A record between its neighbours.
struct Waiting {
    record: Record,
    before: Before,
    after: Option<String>,
    ready: bool,
}

/// So many records wait at most; then the first goes without what comes after it.
const QUEUED: usize = 10_000;

impl Queue {
    fn push(&mut self, record: Record) {
        let number = self.gone + self.waiting.len();
        let Some(device) = &record.device else {
            let before = Before::default();
            return self.waiting.push_back(Waiting { record, before, after: None, ready: true });
        };
        let speaker = self.devices.entry(device.clone()).or_default();
        let last = speaker.waits.take().and_then(|waits| waits.checked_sub(self.gone));
        if let Some(last) = last.and_then(|at| self.waiting.get_mut(at)) {
            last.after = Some(record.text.clone());
            last.ready = true;
        }
        let before = speaker.before.clone();
        let open = utterances::is_open(&before, &record.text);
        speaker.before.said(&record.text);
        speaker.waits = open.then_some(number);
        self.waiting.push_back(Waiting { record, before, after: None, ready: !open });
    }

    /// The first record, if it need not wait, or nothing more comes.
    fn next_ready(&mut self, over: bool) -> Option<Waiting> {
        let ready = self.waiting.front()?.ready || over || self.waiting.len() > QUEUED;
        self.gone += usize::from(ready);
        if ready { self.waiting.pop_front() } else { None }
    }
}

impl Waiting {
    /// Writes what was found in a text; how many entities.
    fn write(&self, output: &mut impl Write, kind: Input, options: &ScanOptions) -> io::Result<u64> {
        let scanner = &options.scanner;
        let Record { id, text, .. } = &self.record;
        let found = utterances::scan(scanner, &self.before, text, self.after.as_deref());
        match options.output {
            Output::Spans(offsets) => {
                write!(output, "{{\"id\":{id},\"spans\":[")?;
                write_spans(output, scanner, text, &found, offsets)?;
                writeln!(output, "]}}")?;
            }
            Output::Text => {
                let redacted = scanner.tagged(text, &found);
                if kind == Input::JsonLines {
                    writeln!(output, "{}", json!({ "id": id, "text": redacted.text }))?;
                } else {
                    writeln!(output, "{}", redacted.text)?;
                }
            }
        }
        Ok(found.len() as u64)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line as it usually is.
#[derive(Deserialize)]
struct Usual {
    #[serde(default, deserialize_with = "given")]
    id: Option<Value>,
    device: Option<String>,
    text: String,
}

/// Reads a value that is present, even if it is null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a line. The reason of a failure holds nothing of the line: serde's messages may, its position does not.
fn read(kind: Input, line: &[u8], number: u64) -> Result<Record, String> {
    let line =
        std::str::from_utf8(line).map_err(|e| format!("not UTF-8 from byte {} on", e.valid_up_to()))?;
    if kind != Input::JsonLines {
        return Ok(Record { id: number.into(), device: None, text: line.to_owned() });
    }
    if let Ok(Usual { id, device, text }) = serde_json::from_str(line) {
        return Ok(Record { id: id.unwrap_or_else(|| number.into()), device, text });
    }
    let value: Value =
        serde_json::from_str(line).map_err(|e| format!("not JSON at column {}", e.column()))?;
    let Value::Object(mut object) = value else { return Err("expected an object with `text`".to_owned()) };
    match object.remove("text") {
        Some(Value::String(text)) => {
            let device = object.get("device").and_then(Value::as_str).map(str::to_owned);
            Ok(Record { id: object.remove("id").unwrap_or_else(|| number.into()), device, text })
        }
        Some(_) => Err("`text` is no string".to_owned()),
        None => Err("the object has no `text`".to_owned()),
    }
}

/// Writes `[start,end,"KIND"]` for each finding. Names of kinds and patterns are capitals and underscores: nothing in them is escaped.
fn write_spans(
    output: &mut impl Write,
    scanner: &Scanner,
    text: &str,
    found: &[Finding],
    offsets: Offsets,
) -> io::Result<()> {
    let (mut byte, mut chars) = (0, 0);
    let mut place = |offset: usize| {
        if offsets == Offsets::Bytes {
            return offset;
        }
        chars += text.get(byte..offset).map_or(0, |piece| piece.chars().count());
        byte = offset;
        chars
    };
    for (number, finding) in found.iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let (start, end) = (place(finding.start), place(finding.end));
        write!(output, "{comma}[{start},{end},\"{}\"]", scanner.name(finding))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &[u8], output: Output) -> (String, ScanReport) {
        let mut out = Vec::new();
        let report = scan(input, &mut out, ScanOptions { output, ..ScanOptions::default() }).unwrap();
        (String::from_utf8(out).unwrap(), report)
    }

    #[track_caller]
    fn check(input: &str, output: Output, expected: &str) {
        let (out, report) = run(input.as_bytes(), output);
        assert_eq!(out, expected);
        assert_eq!((report.bad, report.exit_code()), (0, Exit::Fine));
    }

    #[test]
    fn lines_in_redacted_lines_out() {
        check("call 555-0147\r\n\nbye", Output::Text, "call <PHONE>\n\nbye\n");
        check("", Output::Text, "");
    }

    #[test]
    fn json_lines_in_spans_out() {
        let input = "{\"id\": \"a\", \"text\": \"ü call 555-0147\"}\n\n{\"text\": \"bye\"}\n";
        let bytes = "{\"id\":\"a\",\"spans\":[[8,16,\"PHONE\"]]}\n{\"id\":2,\"spans\":[]}\n";
        let chars = "{\"id\":\"a\",\"spans\":[[7,15,\"PHONE\"]]}\n{\"id\":2,\"spans\":[]}\n";
        check(input, Output::Spans(Offsets::Bytes), bytes);
        check(input, Output::Spans(Offsets::Chars), chars);
        check(
            input,
            Output::Text,
            "{\"id\":\"a\",\"text\":\"ü call <PHONE>\"}\n{\"id\":2,\"text\":\"bye\"}\n",
        );
        check("call 555-0147\n", Output::Spans(Offsets::Bytes), "{\"id\":0,\"spans\":[[5,13,\"PHONE\"]]}\n");
    }

    #[test]
    fn lines_of_a_device_are_utterances() {
        let input = "{\"id\": 1, \"device\": \"a\", \"text\": \"my number is five five five\"}\n\
                     {\"id\": 2, \"device\": \"b\", \"text\": \"I have five of them\"}\n\
                     {\"id\": 3, \"device\": \"a\", \"text\": \"oh one four seven\"}\n";
        let expected = "{\"id\":1,\"spans\":[[13,27,\"PHONE\"]]}\n{\"id\":2,\"spans\":[]}\n{\"id\":3,\"spans\":[[0,17,\"PHONE\"]]}\n";
        check(input, Output::Spans(Offsets::Bytes), expected);
    }

    #[test]
    fn bad_lines_are_counted_by_number_and_not_shown() {
        let input = b"{\"text\": \"ok\"}\n{\"text\": 5550147}\n{\"txt\": \"secret\"}\n[1]\n{\"text\": secret}\n\xff{}\n{\"text\": \"ok\"}\n";
        let (out, report) = run(input, Output::Text);
        assert_eq!(out, "{\"id\":0,\"text\":\"ok\"}\n{\"id\":6,\"text\":\"ok\"}\n");
        let actual: Vec<String> = report.first_bad.iter().map(ToString::to_string).collect();
        assert_eq!(
            actual,
            [
                "line 2: `text` is no string",
                "line 3: the object has no `text`",
                "line 4: expected an object with `text`",
                "line 5: not JSON at column 10",
                "line 6: not UTF-8 from byte 0 on",
            ]
        );
        assert_eq!((report.texts, report.bad, report.exit_code()), (2, 5, Exit::Failed));
    }

    #[test]
    fn only_the_first_bad_lines_are_kept() {
        let (_, report) = run("{}\n".repeat(100).as_bytes(), Output::Text);
        assert_eq!((report.bad, report.first_bad.len()), (100, BAD_LINES_KEPT));
    }
}
