use std::io::BufReader;

use super::super::lines::{Ends, LONGEST};
use super::super::utterance::Content;
use super::dates::Dates;
use super::*;

mod odd;
mod quotes;

fn columns(device: bool, captured_at: bool) -> Columns {
    let column = |name: &str, required| Column { name: name.to_owned(), required };
    Columns {
        text: "text".to_owned(),
        device: Some(column("device", device)),
        captured_at: column("captured_at", captured_at),
        kept: Vec::new(),
        times: Times::default(),
    }
}

fn builder(columns: Columns) -> UtteranceBuilder {
    UtteranceBuilder {
        columns,
        name: "t".to_owned(),
        file: None,
        number: 0,
        device: "home".into(),
        dates: Dates::Numbered,
    }
}

fn reading(text: &[u8], csv: bool, columns: Columns) -> RecordReader<BufReader<&[u8]>> {
    let ends = if csv { Ends::Return } else { Ends::Newline };
    let mut lines = Lines::at(BufReader::with_capacity(7, text), 0, 0).ending(ends);
    let format: Box<dyn Records> = if csv {
        Box::new(csv_header(&mut lines, None, &columns, "t").unwrap())
    } else {
        Box::new(JsonRecords)
    };
    RecordReader::new(lines, format, builder(columns), Place::default())
}

/// `seq device time text` of utterances, `seq code reason` of rejections.
fn rows_of(reading: impl Iterator<Item = std::result::Result<Utterance, Rejection>>) -> Vec<String> {
    let show = |heard| match heard {
        Ok(Utterance { device, seq, captured_at, content: Content::Text { text, kept }, .. }) => {
            // A record without a time has its number's here.
            let time = jiff::Timestamp::from_microsecond(captured_at.0).unwrap().to_string();
            let time = if captured_at.0.unsigned_abs() == seq { "-" } else { &time };
            let kept: String = kept.iter().map(|cell| format!("|{cell}")).collect();
            format!("{seq} {device} {time} {text}{kept}")
        }
        Ok(_) => panic!("samples from a text"),
        Err(Rejection { seq, code, reason, .. }) => format!("{seq} {code} {reason}"),
    };
    reading.map(show).collect()
}

#[test]
fn json_lines() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(rows_of(reading(text.as_bytes(), false, columns(false, false))), expected, "{text}");
    };
    check("", &[]);
    check("\n \r\n", &[]);
    check(r#"{"text": "hi"}"#, &["0 home - hi"]);
    check(
        "\u{feff}{\"text\": \"a\", \"device\": \"den\", \"captured_at\": \"2026-03-02T08:15:00+01:00\", \"x\": 1}\r\n\n{\"text\": \"\", \"device\": 7}",
        &["0 den 2026-03-02T07:15:00Z a", "1 7 - "],
    );
    check(
        "{\"text\": 3}\n[]\n{\"text\": \"a\"\n{}\n{\"text\": \"ok\"}\n{\"text\": \"x\", \"device\": \"\"}\n{\"text\": \"x\", \"captured_at\": \"noon\"}\n{\"text\": null}\n{\"text\": \"x\", \"device\": {}}\n{\"text\": \"x\", \"device\": 1.5}",
        &[
            "0 bad_type t:1: `text` must be a string, but it is a number",
            "1 bad_json t:2: it is not a JSON object",
            "2 bad_json t:3: the JSON object is cut off",
            "3 column_missing t:4: it has no value for `text`",
            "4 home - ok",
            "5 bad_device t:6: `device` must have 1 to 256 bytes",
            "6 bad_time t:7: `captured_at` must be a time and its offset (RFC 3339), such as 2026-03-02T08:15:00Z",
            "7 column_missing t:8: it has no value for `text`",
            "8 bad_type t:9: `device` must be a string, but it is an object",
            "9 bad_type t:10: `device` must be a string, but it is a number",
        ],
    );
}

#[test]
fn lines_that_are_no_text_or_too_long() {
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(LONGEST));
    let bytes = [b"{\"text\": \"\xff\"}\n", long.as_bytes(), b"\n{\"text\": \"ok\"}"].concat();
    let rows = rows_of(reading(&bytes, false, columns(false, false)));
    assert_eq!(
        rows[0],
        "0 bad_json t:1: it is not valid UTF-8 (at byte 11); a text of Windows is mostly cp1252: convert it with iconv -f CP1252 -t UTF-8"
    );
    assert_eq!(rows[1], "1 line_too_long t:2: it is longer than 1048576 bytes");
    assert_eq!(rows[2], "2 home - ok");
}

#[test]
fn csv() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(rows_of(reading(text.as_bytes(), true, columns(false, false))), expected, "{text}");
    };
    check("text", &[]);
    check("\u{feff}text\nhi\n\n\"a \"\"b\"\", c\"\n", &["0 home - hi", "1 home - a \"b\", c"]);
    check(
        "device,x, text ,captured_at\r\nden,1,\"two\r\nlines\",2026-03-02T08:15:00Z\r\n,,,\r\nden,1\nden,1,5\" pipe,\nden,1,\"open",
        &[
            "0 den 2026-03-02T08:15:00Z two\nlines",
            "1 home - ",
            "2 bad_csv t:5: it has 2 fields, but the first line names 4",
            "3 den - 5\" pipe",
            "4 record_open t:7: a quoted field begins here and is not closed before the end of the text, 0 lines further; reading continues in the next line",
        ],
    );
    check("text\n\"\"\"\"\nx", &["0 home - \"", "1 home - x"]);
}

/// A quote that is never closed must not swallow the rest of a large file into memory.
#[test]
fn an_open_quote_is_given_up_at_the_longest_record() {
    let line = format!("{}\n", "y".repeat(LONGEST / 900));
    let text = format!("text\n\"open\n{}ok\n", line.repeat(950));
    let rows = rows_of(reading(text.as_bytes(), true, columns(false, false)));
    assert!(
        rows[0].contains("t:2: a quoted field begins here and is not closed within 1048576 bytes"),
        "{}",
        rows[0]
    );
    assert_eq!((rows.len(), rows[951].as_str()), (952, "951 home - ok"));
}

#[test]
fn columns_that_were_asked_for_must_be_there() {
    let rows = rows_of(reading(
        b"{\"text\": \"a\"}\n{\"text\": \"b\", \"device\": \"d\"}",
        false,
        columns(true, true),
    ));
    assert_eq!(
        rows,
        [
            "0 column_missing t:1: it has no value for `device`",
            "1 column_missing t:2: it has no value for `captured_at`"
        ]
    );
    let header = |text: &[u8], required| {
        csv_header(&mut Lines::at(BufReader::new(text), 0, 0), None, &columns(required, false), "t.csv")
            .unwrap_err()
            .to_string()
    };
    assert!(
        header(b"a,b\n", false)
            .starts_with("`t.csv`:1: there is no column `text`; the first line names a, b")
    );
    assert!(header(b"text,b\n", true).contains("there is no column `device`"));
    assert!(header(b"", true).contains("no readable first line"));
}

/// Left at any item and resumed by a seek, a text gives the same items.
#[test]
fn a_text_can_be_resumed_anywhere() {
    let text = "text,device\na,1\n\n\"b\nb\",2\nbroken\nc,3\n\nd,4";
    let whole = rows_of(reading(text.as_bytes(), true, columns(false, false)));
    assert_eq!(whole.len(), 5);
    for left_at in 0..=whole.len() {
        let mut first = reading(text.as_bytes(), true, columns(false, false));
        let mut all = rows_of(first.by_ref().take(left_at));
        let place = first.place();
        let mut lines = Lines::at(BufReader::new(std::io::Cursor::new(text)), 0, 0);
        let format = csv_header(&mut lines, None, &columns(false, false), "t").unwrap();
        assert!(lines.pass_to(place).unwrap(), "left after {left_at}");
        let second = RecordReader::new(lines, Box::new(format), builder(columns(false, false)), place);
        all.extend(rows_of(second));
        assert_eq!(all, whole, "left after {left_at}");
    }
}

fn keeping(names: &[&str]) -> Columns {
    Columns { kept: names.iter().map(|name| (*name).to_owned()).collect(), ..columns(false, false) }
}

#[test]
fn kept_columns_of_json_lines() {
    let check = |names: &[&str], line: &str, expected: &str| {
        assert_eq!(rows_of(reading(line.as_bytes(), false, keeping(names))), [expected], "{line}");
    };
    let row = |text: &str| format!("0 home - {text}");
    check(&["split"], r#"{"text": "a", "split": "train"}"#, &row("a|train"));
    check(&["b", "a"], r#"{"a": "1", "text": "x", "b": "2", "c": "3"}"#, &row("x|2|1"));
    check(&["a", "b"], r#"{"text": "x", "a": null}"#, &row("x||"));
    check(
        &["a", "b", "c", "d"],
        r#"{"text": "x", "a": 7, "b": -1.5, "c": true, "d": ""}"#,
        &row("x|7|-1.5|true|"),
    );
    // The column of the device or of the text may be carried on too.
    let both = "0 den - x|den";
    let columns =
        Columns { device: Some(Column { name: "who".to_owned(), required: false }), ..keeping(&["who"]) };
    assert_eq!(rows_of(reading(br#"{"text": "x", "who": "den"}"#, false, columns)), [both]);
    let must = "must be a string, a number, true or false, but it is";
    check(&["a"], r#"{"text": "x", "a": ["y"]}"#, &format!("0 bad_type t:1: `a` {must} a list"));
    check(&["a"], r#"{"text": "x", "a": {}}"#, &format!("0 bad_type t:1: `a` {must} an object"));
}

#[test]
fn kept_columns_of_csv() {
    let text = b"split,text,session\ntrain,a,1\n,b,\n";
    assert_eq!(
        rows_of(reading(text, true, keeping(&["session", "split"]))),
        ["0 home - a|1|train", "1 home - b||"]
    );
    // The text's own column keeps its text, whichever column else reads it.
    let text = b"say\na\n";
    let columns = Columns { text: "say".to_owned(), ..keeping(&["say"]) };
    assert_eq!(rows_of(reading(text, true, columns)), ["0 home - a|a"]);
    let mut lines = Lines::at(BufReader::new(&b"text\na\n"[..]), 0, 0);
    let error = csv_header(&mut lines, None, &keeping(&["split"]), "t.csv").unwrap_err().to_string();
    assert!(error.contains("there is no column `split`; the first line names text"), "{error}");
}

#[test]
fn one_device_hides_what_rows_say_of_theirs() {
    let columns = || Columns { device: None, ..columns(false, false) };
    let line = b"{\"text\": \"a\", \"device\": \"den\"}\n{\"text\": \"b\", \"device\": {}}";
    let expected = ["0 home - a", "1 home - b"];
    assert_eq!(rows_of(reading(line, false, columns())), expected);
    assert_eq!(rows_of(reading(b"device,text\nden,a\nhall,b", true, columns())), expected);
}
