//! CSV with quotes that are stray or never closed, and with odd ends of lines: nothing is lost without a word.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn rows(text: &str) -> Vec<String> {
    rows_of(reading(text.as_bytes(), true, columns(false, false)))
}

const HEADER: &str = "device,captured_at,text\n";

fn check(lines: &str, expected: &[&str]) {
    let short = |row: String| row.replace("hall 2026-03-02T08:0", "");
    let rows: Vec<_> = rows(&format!("{HEADER}{lines}")).into_iter().map(short).collect();
    assert_eq!(rows, expected, "{lines}");
}

fn row(minute: u8, text: &str) -> String {
    format!("hall,2026-03-02T08:0{minute}:00Z,{text}\n")
}

#[test]
fn stray_quotes() {
    let stray = row(0, "the 5\" pipe leaks") + &row(1, "\"the 5\" pipe leaks\"") + &row(2, "after");
    check(
        &stray,
        &[
            "0 0:00Z the 5\" pipe leaks",
            "1 bad_csv t:3: a quote in a quoted field is not doubled",
            "2 2:00Z after",
        ],
    );
    check(&row(0, "\"a \"\"b\"\"\" \t"), &["0 0:00Z a \"b\" \t"]);
    check(&row(0, "\"\""), &["0 0:00Z "]);
    check(&row(0, "\"\"\"\""), &["0 0:00Z \""]);
}

#[test]
fn quotes_that_are_not_closed() {
    let begins = "a quoted field begins here and";
    let on = "reading continues in the next line";
    let ok = row(0, "ok");
    // The next field's opening quote would close it: two rows would be one.
    check(
        &(ok.clone()
            + &row(1, "\"smart quote at its end”")
            + &row(2, "\"Call Rosa on 555-0142\"")
            + &row(3, "after")),
        &[
            "0 0:00Z ok",
            &format!("1 record_open t:3: {begins} is not closed where a quote stands, in line 4; {on}"),
            "2 2:00Z Call Rosa on 555-0142",
            "3 3:00Z after",
        ],
    );
    // A stray quote at the end of a later row would close it.
    check(
        &(row(0, "\"open") + &row(1, "plain") + &row(2, "five inches 5\"") + &row(3, "after")),
        &[
            &format!("0 record_open t:2: {begins} would take up 2 lines, which are rows by themselves; {on}"),
            "1 1:00Z plain",
            "2 2:00Z five inches 5\"",
            "3 3:00Z after",
        ],
    );
    check(
        &(ok.clone() + &row(1, "\"open")),
        &[
            "0 0:00Z ok",
            &format!(
                "1 record_open t:3: {begins} is not closed before the end of the text, 0 lines further; {on}"
            ),
        ],
    );
    // A text over several lines is one record, whatever it holds.
    check(
        &("hall,2026-03-02T08:00:00Z,\"one\n\n2026-03-02T08:00:00Z, three\"\n".to_owned() + &row(1, "after")),
        &["0 0:00Z one\n\n2026-03-02T08:00:00Z, three", "1 1:00Z after"],
    );
    // Also where it stands before the time.
    let text = "text,captured_at\n\"one\ntwo\",2026-03-02T08:00:00Z\nafter,2026-03-02T08:01:00Z\n";
    assert_eq!(rows(text), ["0 home 2026-03-02T08:00:00Z one\ntwo", "1 home 2026-03-02T08:01:00Z after"]);
    check(
        "hall,2026-03-02T08:00:00Z,\"one\ntwo\",more\n",
        &["0 bad_csv t:2 (to line 3): it has 4 fields, but the first line names 3"],
    );
}

/// One quote, in row 10 of 1,500: that row is lost, and no other.
#[test]
fn an_open_quote_takes_one_row() {
    for (count, fault) in [
        (900, "is not closed before the end of the text, 889 lines further"),
        (1500, "is not closed within 1000 lines"),
    ] {
        let line = |n: usize| row(0, &if n == 10 { "\"never closed".to_owned() } else { format!("row {n}") });
        let text: String = std::iter::once(HEADER.to_owned()).chain((0..count).map(line)).collect();
        let rows = rows(&text);
        assert_eq!(rows.len(), count);
        let rejected: Vec<_> = rows.iter().filter(|row| !row.contains("Z row ")).collect();
        let reason = format!(
            "10 record_open t:12: a quoted field begins here and {fault}; reading continues in the next line"
        );
        assert_eq!(rejected, [&reason]);
    }
}

#[test]
fn returns_alone_end_rows() {
    check(
        "hall,2026-03-02T08:00:00Z,first half\rsecond half\nhall,2026-03-02T08:01:00Z,after\nhall,2026-03-02T08:02:00Z,\"quoted\rhalf\"\nhall,2026-03-02T08:03:00Z,last\n",
        &[
            "0 0:00Z first half",
            "1 bad_csv t:3: it has 1 field, but the first line names 3",
            "2 1:00Z after",
            "3 2:00Z quoted\nhalf",
            "4 3:00Z last",
        ],
    );
    let mixed = "device,captured_at,text\r\nhall,2026-03-02T08:00:00Z,one\rhall,2026-03-02T08:01:00Z,two\r\nhall,2026-03-02T08:02:00Z,three\r\n";
    let texts: Vec<_> = rows(mixed).iter().map(|row| row.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

/// Left after any record and read on by a later attempt, a text with open quotes gives the same.
#[test]
fn it_can_be_resumed_anywhere() {
    let text =
        format!("{HEADER}{}{}{}{}", row(0, "\"a\nb\""), row(1, "\"open"), row(2, "c"), row(3, "\"x\"y"));
    let whole = rows(&text);
    for left_at in 0..=whole.len() {
        let mut first = reading(text.as_bytes(), true, columns(false, false));
        let mut all = rows_of(first.by_ref().take(left_at));
        let place = first.place();
        let mut lines = Lines::at(BufReader::new(text.as_bytes()), 0, 0).ending(Ends::Return);
        let format = csv_header(&mut lines, None, &columns(false, false), "t").unwrap();
        assert!(lines.pass_to(place).unwrap(), "left after {left_at}");
        all.extend(rows_of(RecordReader::new(
            lines,
            Box::new(format),
            builder(columns(false, false)),
            place,
        )));
        assert_eq!(all, whole, "left after {left_at}");
    }
}

proptest! {
    /// Whatever quotes, delimiters and ends of lines a text has: every line that holds something is in a row or in a rejection.
    #[test]
    fn no_line_is_lost(pieces in proptest::collection::vec(0..9_usize, 0..60)) {
        let piece = |(at, piece): (usize, &usize)| match piece {
            0..=3 => format!("w{at}w"),
            4 => ",".to_owned(),
            5 | 6 => "\n".to_owned(),
            7 => "\r".to_owned(),
            _ => "\"".to_owned(),
        };
        let text: String = pieces.iter().enumerate().map(piece).collect();
        let rows = rows(&format!("text\n{text}"));
        let mut rejected = BTreeSet::new();
        for place in rows.iter().filter_map(|row| row.split(" t:").nth(1)) {
            let first: usize = place.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
            let last = place.split("(to line ").nth(1).and_then(|to| to.split(')').next()?.parse().ok());
            rejected.extend(first..=last.unwrap_or(first));
        }
        for (line, words) in (2..).zip(text.replace("\r\n", "\n").split(['\n', '\r'])) {
            for word in words.split([',', '"']).filter(|word| !word.is_empty()) {
                let is_given = rows.iter().any(|row| row.contains(word));
                prop_assert!(is_given || rejected.contains(&line), "{text:?}: {word} of line {line} in {rows:?}");
            }
        }
    }
}
