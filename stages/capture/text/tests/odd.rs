//! Texts as other programs write them: other delimiters, encodings, headers and keys. What is not read is named.

use super::*;

fn header(text: &[u8], delimiter: Option<u8>, columns: &Columns) -> String {
    let mut lines = Lines::at(BufReader::new(text), 0, 0).ending(Ends::Return);
    csv_header(&mut lines, delimiter, columns, "t.csv").unwrap_err().to_string()
}

#[test]
fn delimiters() {
    let rows = |text: &str, delimiter: Option<u8>| {
        let mut lines = Lines::at(BufReader::new(text.as_bytes()), 0, 0).ending(Ends::Return);
        let columns = columns(false, false);
        let records = csv_header(&mut lines, delimiter, &columns, "t").unwrap();
        rows_of(RecordReader::new(lines, Box::new(records), builder(columns), Place::default()))
    };
    let expected = ["0 hall 2026-03-02T08:00:00Z Herr Krüger, sofort"];
    let semicolons = "device;captured_at;text\r\nhall;2026-03-02T08:00:00Z;Herr Krüger, sofort\r\n";
    let tabs = semicolons.replace(';', "\t");
    assert_eq!(rows(semicolons, Some(b';')), expected);
    assert_eq!(rows(&tabs, Some(b'\t')), expected);
    // Excel's first line names the delimiter; what the options name holds.
    assert_eq!(rows(&format!("sep=;\r\n{semicolons}"), None), expected);
    assert_eq!(rows(&format!("\u{feff}sep=\t\r\n{tabs}"), None), expected);
    assert_eq!(rows("sep=,\r\ndevice,text\r\nhall,a\r\n", None), ["0 hall - a"]);
    assert_eq!(rows(&format!("sep=,\r\n{semicolons}"), Some(b';')), expected);
    assert_eq!(rows("text;device\n\"a;\nb\";den\n", Some(b';')), ["0 den - a;\nb"]);
}

#[test]
fn headers_say_what_to_do() {
    let check = |text: &[u8], delimiter: Option<u8>, words: &[&str]| {
        let message = header(text, delimiter, &columns(false, false));
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    check(b"device;captured_at;text\r\n", None, &["there is no column `text`", "write `delimiter = \";\"`"]);
    check(b"device\tcaptured_at\ttext\n", None, &["write `delimiter = \"\\t\"`"]);
    check(b"device|text\n", None, &["write `delimiter = \"|\"`"]);
    check(b"device,text\n", Some(b';'), &["write `delimiter = \",\"`"]);
    check(b"Device,Captured_At,Text\n", None, &["there is no column `text`", "did you mean `Text`?"]);
    check(b"Device,text\n", None, &["there is no column `device`, but nearly so", "did you mean `Device`?"]);
    check(b"capturedAt,text\n", None, &["did you mean `capturedAt`?"]);
    check(b"device,text,text\n", None, &["it names `text` twice"]);
    check(b"device,device,text\n", None, &["it names `device` twice"]);
    check(b"device,\"text\n", None, &["a quoted name is not closed"]);
    check(b"a,b\n", None, &["the first line names a, b", "the options `text_column`"]);
    check(b"sep=;\na;b\n", None, &["`t.csv`:2: ", "the first line names a, b"]);
    check(b"\xff\xfed\0e\0v\0", None, &["`t.csv` is a text in UTF-16", "iconv -f UTF-16LE"]);
    // A column that is not read may stand there as often as it likes.
    let mut lines = Lines::at(BufReader::new(&b"note,note,text\n"[..]), 0, 0);
    assert!(csv_header(&mut lines, None, &columns(false, false), "t").is_ok());
}

#[test]
fn texts_of_windows() {
    let bytes = b"device,text\nhall,Herr Kr\xfcger\nhall,plain\n";
    assert_eq!(
        rows_of(reading(bytes, true, columns(false, false))),
        [
            "0 bad_csv t:2: it is not valid UTF-8 (at byte 13); a text of Windows is mostly cp1252: convert it with iconv -f CP1252 -t UTF-8",
            "1 hall - plain",
        ]
    );
}

#[test]
fn odd_json_lines() {
    let check = |line: &[u8], expected: &str| {
        let line = [line, b"\n{\"text\": \"after\"}\n"].concat();
        let rows = rows_of(reading(&line, false, columns(false, false)));
        assert_eq!(rows, [expected, "1 home - after"]);
    };
    check(br#"{"text":"a pair \ud83d\ude00"}"#, "0 home - a pair \u{1f600}");
    check(br#"{"text":"\\ud83d is text"}"#, "0 home - \\ud83d is text");
    let half = "half a surrogate pair (\\ud800 to \\udfff) stands alone in it and is no character";
    check(br#"{"text":"half \ud83d ends here"}"#, &format!("0 bad_json t:1: {half} (at byte 15)"));
    check(br#"{"text":"half \ude00 here"}"#, &format!("0 bad_json t:1: {half} (at byte 15)"));
    check(br#"{"text":"half \ud83d\u0041"}"#, &format!("0 bad_json t:1: {half} (at byte 15)"));
    check(
        br#"{"text":"first","text":"second"}"#,
        "0 duplicate_key t:1: `text` stands in it twice; expected each key once",
    );
    check(br#"{"note":1,"note":2,"text":"x"}"#, "0 home - x");
    check(br#"{"text":{"a":1,"a":2}}"#, "0 bad_type t:1: `text` must be a string, but it is an object");
    check(
        br#"{"text":"one"}{"text":"two"}"#,
        "0 bad_json t:1: it is not valid JSON (at byte 15); something stands behind the first value, and one object is expected in a line",
    );
    check(br#"{"text":"trailing comma",}"#, "0 bad_json t:1: it is not valid JSON (at byte 26)");
    check(br#"{"text":"cut off"#, "0 bad_json t:1: the JSON object is cut off");
    check(b"42", "0 bad_json t:1: it is not a JSON object");
    check(b"null", "0 bad_json t:1: it is not a JSON object");
    check(b"{\"text\":\"raw nul \0\"}", "0 bad_json t:1: it is not valid JSON (at byte 18)");
    check(
        br#"{"text":"x","captured_at":1772438400}"#,
        "0 bad_type t:1: `captured_at` must be a string, but it is a number; `time_format = \"unix\"` reads counts of seconds, \"unix_ms\" of milliseconds",
    );
}

#[test]
fn times_that_are_numbers() {
    let columns =
        |format: &str| Columns { times: Times::new(Some(format), None).unwrap(), ..columns(false, false) };
    let check = |format: &str, text: &str, csv: bool, expected: &str| {
        assert_eq!(rows_of(reading(text.as_bytes(), csv, columns(format))), [expected], "{text}");
    };
    check("unix", r#"{"text":"x","captured_at":1772438400.5}"#, false, "0 home 2026-03-02T08:00:00.5Z x");
    check("unix_ms", r#"{"text":"x","captured_at":1772438400000}"#, false, "0 home 2026-03-02T08:00:00Z x");
    check("unix_ms", r#"{"text":"x","captured_at":"1772438400000"}"#, false, "0 home 2026-03-02T08:00:00Z x");
    check("unix", "captured_at,text\n1772438400,x\n", true, "0 home 2026-03-02T08:00:00Z x");
}
