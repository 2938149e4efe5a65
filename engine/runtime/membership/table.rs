//! The table of members: a file of comma-separated values, TOML, or Parquet.
//!
//! In: a path and the columns that are asked for. Out: the devices, or every mistake with its line or row. It must not know timely.
//! A message names devices, groups and columns, and no other value of the table.

mod parquet_table;

use std::collections::BTreeSet;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::members::{CONSENT, DEVICE, Device, MemberSource, Members, Mistake, Stated, judge, wrong_columns};
use crate::plan::Plan;

/// The name of the members in failures, where a stage's id would stand.
pub(crate) const NAME: &str = "[members]";

/// The members of a plan when it starts.
///
/// # Errors
/// Everything that is wrong with the table, in lines for people.
pub fn load(members: &Members, plan: &Plan) -> Result<Vec<Device>, Vec<String>> {
    match &members.given {
        MemberSource::Devices(devices) => Ok(devices.clone()),
        MemberSource::Table(path) => read(path, members, &members.asked(plan)),
    }
}

fn read(path: &Path, members: &Members, asked: &[&str]) -> Result<Vec<Device>, Vec<String>> {
    let shown = path.display();
    let unread =
        |error| vec![format!("{shown} cannot be read: {error}; expected the file that `table` names")];
    let text = || std::fs::read_to_string(path).map_err(unread);
    let (stated, places) = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => (comma_separated(&text()?, &members.columns, asked), "line"),
        Some("toml") => (toml_tables(&text()?, &members.columns), "line"),
        Some("parquet") => {
            std::fs::metadata(path).map_err(unread)?;
            (parquet_table::rows(path, &members.columns, asked), "row")
        }
        _ => {
            return Err(vec![format!(
                "{shown} cannot be read: its name ends neither in .csv nor in .toml nor in .parquet, the forms of such \
                 tables"
            )]);
        }
    };
    let (stated, mut wrong) = stated.map_or_else(|wrong| (Vec::new(), wrong), |stated| (stated, Vec::new()));
    let (devices, more) = judge(&members.columns, members.groups, &stated);
    wrong.extend(more);
    wrong.sort_by_key(|mistake| mistake.place);
    let located = |mistake| line(&shown, places, mistake);
    if wrong.is_empty() { Ok(devices) } else { Err(wrong.iter().map(located).collect()) }
}

/// The place of what is wrong with a table as a whole, where places are counted from 1.
const NOWHERE: u64 = 0;

/// A mistake as one line that begins with its place.
fn line(path: &std::path::Display<'_>, places: &str, mistake: &Mistake<u64>) -> String {
    let Mistake { code, message, place, expected, also, help } = mistake;
    let at = if *place == NOWHERE { String::new() } else { format!(":{place}") };
    let mut line = format!("{path}{at}: {message} [{code}]");
    if let Some(expected) = expected {
        line += &format!("; expected {expected}");
    }
    if let Some((place, text)) = also {
        line += &format!("; {places} {place}: {text}");
    }
    if let Some(help) = help {
        line += &format!(" (help: {help})");
    }
    line
}

type Read = Result<Vec<Stated<u64>>, Vec<Mistake<u64>>>;

fn comma_separated(text: &str, columns: &[String], asked: &[&str]) -> Read {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let unread = |error: &csv::Error| {
        let place = error.position().map_or(1, |at| line_of(text, at));
        let what = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the line has {len} columns and the first one {expected_len}")
            }
            _ => "the line cannot be read".to_owned(),
        };
        vec![Mistake::new("H0001", what, place)]
    };
    let header = reader.headers().map_err(|e| unread(&e))?.clone();
    let there: Vec<&str> = header.iter().collect();
    let wanted: Vec<&str> = std::iter::once(DEVICE).chain(asked.iter().copied()).collect();
    let places: Vec<(&str, u64)> = there.iter().map(|name| (*name, 1)).collect();
    let mut wrong = wrong_columns(columns, &wanted, &places, &1);
    for (at, column) in there.iter().enumerate() {
        if there.iter().take(at).any(|before| before == column) {
            wrong.push(Mistake::new("H0002", format!("the column `{column}` stands twice"), 1));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut stated = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| unread(&e))?;
        let place = record.position().map_or(1, |at| line_of(text, at));
        let mut said = Stated { device: String::new(), place, cells: Vec::new() };
        for (column, word) in there.iter().zip(&record) {
            if *column == DEVICE {
                word.clone_into(&mut said.device);
            } else {
                said.cells.push(((*column).to_owned(), word.to_owned(), place));
            }
        }
        stated.push(said);
    }
    Ok(stated)
}

/// The line where a record begins: its position is that of the empty lines before it.
fn line_of(text: &str, at: &csv::Position) -> u64 {
    let rest =
        usize::try_from(at.byte()).ok().and_then(|byte| text.as_bytes().get(byte..)).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    at.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

/// One table for each device: `["kitchen-01"]` and its columns below.
fn toml_tables(text: &str, columns: &[String]) -> Read {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|b| *b == b'\n').count() as u64;
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(1, |span| line(span.start));
        vec![Mistake::new("H0001", "invalid TOML", place)]
    })?;
    let mut wrong = Vec::new();
    let mut ignored = BTreeSet::new();
    let mut stated = Vec::new();
    for (device, value) in table.get_ref() {
        let place = line(device.span().start);
        let DeValue::Table(cells) = value.get_ref() else {
            let error = Mistake::new("H0005", format!("`{}` is not a table", device.get_ref()), place);
            wrong.push(error.expected("a table with the device's columns"));
            continue;
        };
        let mut said = Stated { device: device.get_ref().to_string(), place, cells: Vec::new() };
        let names: Vec<(&str, u64)> =
            cells.keys().map(|name| (name.get_ref().as_ref(), line(name.span().start))).collect();
        // An error that every device has is reported once.
        for mistake in wrong_columns(columns, &[], &names, &place) {
            if ignored.insert(mistake.message.clone()) {
                wrong.push(mistake);
            }
        }
        for (column, value) in cells {
            let (name, place) = (column.get_ref().to_string(), line(column.span().start));
            match value.get_ref() {
                DeValue::String(word) => said.cells.push((name, word.to_string(), place)),
                DeValue::Boolean(given) if name == CONSENT => {
                    said.cells.push((name, given.to_string(), place));
                }
                _ => {
                    let error =
                        Mistake::new("H0005", format!("`{name}` of `{}` is not text", said.device), place);
                    wrong.push(error.expected("a string"));
                }
            }
        }
        stated.push(said);
    }
    stated.sort_by_key(|said| said.place);
    if wrong.is_empty() { Ok(stated) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(stated: Read) -> Vec<(u64, String)> {
        match stated {
            Ok(stated) => stated.into_iter().map(|s| (s.place, s.device)).collect(),
            Err(wrong) => wrong.into_iter().map(|m| (m.place, m.message)).collect(),
        }
    }

    fn columns() -> [String; 2] {
        ["gateway", "region"].map(str::to_owned)
    }

    #[test]
    fn lines_are_counted_and_told() {
        let check = |text: &str, expected: &[(u64, &str)]| {
            let found = lines(comma_separated(text, &columns(), &["region"]));
            let expected: Vec<(u64, String)> = expected.iter().map(|(n, t)| (*n, (*t).to_owned())).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("device,region\na,n\n\nb , s\n", &[(2, "a"), (4, "b")]);
        check("device,region\r\na,n\r\n\r\n\"b\",s\r\n", &[(2, "a"), (4, "b")]);
        check("device,region\na,n\n\nb\n", &[(4, "the line has 1 columns and the first one 2")]);
        check("gadget,region\na,n\n", &[(1, "the table has no column `device`")]);
        check("device,area\n", &[(1, "the table has no column `region`")]);
        check("device,Region\na,n\n", &[(1, "the column `Region` would be ignored")]);
        check("device,region,Consent\na,n,no\n", &[(1, "the column `Consent` would be ignored")]);
        check("\u{feff}device,region, consent \na,n,no\n", &[(2, "a")]);
        check("device,region,region\n", &[(1, "the column `region` stands twice")]);
        check("device,region\na,n\nb\n", &[(3, "the line has 1 columns and the first one 2")]);
        let many = lines(toml_tables("[a]\nregion = 'n'\nconsent = false\n[\"b-2\"]\n", &columns()));
        assert_eq!(many, [(1, "a".to_owned()), (4, "b-2".to_owned())]);
        assert_eq!(
            lines(toml_tables("[a]\nregion = 3\n", &columns())),
            [(2, "`region` of `a` is not text".to_owned())]
        );
        assert_eq!(lines(toml_tables("a = 'x'", &columns())), [(1, "`a` is not a table".to_owned())]);
        let misspelt = "[a]\nconsent = 'no'\n[b]\nconsnet = 'no'\n[c]\nconsnet = 'no'\nConsent = 'no'\n";
        let expected =
            [(4, "the column `consnet` would be ignored"), (7, "the column `Consent` would be ignored")];
        assert_eq!(lines(toml_tables(misspelt, &columns())), expected.map(|(n, t)| (n, t.to_owned())));
        assert_eq!(lines(toml_tables("\n[a", &columns())), [(2, "invalid TOML".to_owned())]);
    }
}
