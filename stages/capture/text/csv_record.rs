//! Values separated by a delimiter, with a header (RFC 4180).
//!
//! In: a header line, then records. Out: their fields, or what is wrong. Stricter than most readers where they lose text in silence: a
//! quote that ends a field stands before a delimiter or the end of the line, and nowhere else.

use super::{Columns, Fields, Quotes, RecordError, Records, When};

/// The delimiter between two fields unless the options or the text say something else.
pub const COMMA: u8 = b',';

/// Delimiters that are looked for where a header names no column that is known.
const OTHERS: [(u8, &str); 4] = [(b';', ";"), (b'\t', "\\t"), (b'|', "|"), (COMMA, ",")];

/// Reads CSV records by the places that the header gave.
#[derive(Debug)]
pub struct CsvRecords {
    delimiter: u8,
    width: usize,
    text: usize,
    device: Option<usize>,
    captured_at: Option<usize>,
    kept: Vec<usize>,
    columns: Columns,
}

/// Why a header does not do: what is wrong, and what to do about it.
#[derive(Debug)]
pub struct BadHeader {
    /// The mistake.
    pub what: String,
    /// The remedy.
    pub help: String,
}

/// The remedy for a column that is not there.
pub const NAMED: &str =
    "the options `text_column`, `device_column`, `captured_at_column` and `columns` name columns";

impl CsvRecords {
    /// Finds the columns in a header line.
    pub fn with_header(header: &[u8], delimiter: u8, columns: &Columns) -> Result<Self, BadHeader> {
        let bad = |what: String| BadHeader { what, help: NAMED.to_owned() };
        if quotes(header, delimiter, false) != Quotes::Closed {
            return Err(bad("a quoted name is not closed, or a quote stands behind one".to_owned()));
        }
        let names = split(header, delimiter).map_err(|(_, what)| bad(what))?;
        let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
        let lacking = |name: &str| {
            let what = format!("there is no column `{name}`; the first line names {}", names.join(", "));
            let help = near(name, &names).or_else(|| other_delimiter(header, delimiter, name));
            BadHeader { what, help: help.unwrap_or_else(|| NAMED.to_owned()) }
        };
        let found = |name: &str, required: bool| {
            let mut places = (0..names.len()).filter(|at| names.get(*at) == Some(&name));
            match (places.next(), places.next()) {
                (Some(_), Some(_)) => Err(bad(format!("it names `{name}` twice; expected each column once"))),
                (None, _) if required => Err(lacking(name)),
                // A column that is nearly there would be passed over without a word.
                (None, _) => near(name, &names).map_or(Ok(None), |help| {
                    Err(BadHeader { what: format!("there is no column `{name}`, but nearly so"), help })
                }),
                (place, None) => Ok(place),
            }
        };
        let text = found(&columns.text, true)?.unwrap_or_default();
        let optional = |column: &super::Column| found(&column.name, column.required);
        let device = columns.device.as_ref().map(optional).transpose()?.flatten();
        let captured_at = optional(&columns.captured_at)?;
        let kept = columns.kept.iter().map(|name| found(name, true)).collect::<Result<Vec<_>, _>>()?;
        let kept = kept.into_iter().flatten().collect();
        let (width, columns) = (names.len(), columns.clone());
        Ok(Self { delimiter, width, text, device, captured_at, kept, columns })
    }

    /// Returns true if these fields have a time where it belongs.
    fn have_time(&self, fields: &[String]) -> bool {
        let time = self.captured_at.and_then(|at| fields.get(at));
        time.is_some_and(|time| self.columns.instant(&When::ModificationTimes(time.clone())).is_ok())
    }
}

/// A name that differs from the wanted one in its case or by blanks, `_` and `-` alone.
fn near(wanted: &str, names: &[&str]) -> Option<String> {
    let bare = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let near = names.iter().find(|name| **name != wanted && bare(name) == bare(wanted))?;
    Some(format!("did you mean `{near}`? Write `{wanted}` in the file, or name the column in the options"))
}

/// The delimiter by which a header does name a column.
fn other_delimiter(header: &[u8], tried: u8, name: &str) -> Option<String> {
    OTHERS.iter().filter(|(other, _)| *other != tried).find_map(|(other, shown)| {
        let names = split(header, *other).ok()?;
        names.iter().any(|found| found.trim() == name).then(|| format!("write `delimiter = \"{shown}\"`"))
    })
}

/// The state of quotes in a line; `open` is true if the record is within a quoted field.
fn quotes(line: &[u8], delimiter: u8, open: bool) -> Quotes {
    #[derive(Clone, Copy)]
    enum At {
        /// The start of a field.
        Start,
        /// In a field without quotes: there a quote is a character like others.
        Plain,
        Quoted,
        /// Behind a quote in a quoted field: the first of two, or the end of the field.
        Quote,
        /// Behind the end of a quoted field.
        Behind,
    }
    let mut at = if open { At::Quoted } else { At::Start };
    for byte in line {
        at = match (at, *byte) {
            (At::Start | At::Quote, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::Quote,
            (At::Quoted, _) => At::Quoted,
            (_, byte) if byte == delimiter => At::Start,
            (At::Quote | At::Behind, b' ' | b'\t') => At::Behind,
            (At::Quote | At::Behind, _) => return Quotes::Stray,
            (At::Start | At::Plain, _) => At::Plain,
        };
    }
    if matches!(at, At::Quoted) { Quotes::Open } else { Quotes::Closed }
}

impl Records for CsvRecords {
    fn quotes(&self, line: &[u8], open: bool) -> Quotes {
        quotes(line, self.delimiter, open)
    }

    /// Records that an open quote has swallowed have a time of their own, and so many fields as the header. Where the time stands behind the
    /// quoted field, or there is none, nothing can be said.
    fn are_apart(&self, first: &[u8], rest: &[&[u8]]) -> bool {
        let fields = |line: &[u8]| split(line, self.delimiter).unwrap_or_default();
        let mut before = fields(first);
        before.pop();
        self.have_time(&before)
            && rest.iter().all(|line| {
                let fields = fields(line);
                fields.len() == self.width && self.have_time(&fields)
            })
    }

    fn read(&self, record: &[u8], _: &Columns) -> Result<Fields, RecordError> {
        let mut fields = split(record, self.delimiter)?;
        if fields.len() != self.width {
            let (has, wanted) = (fields.len(), self.width);
            let what = format!("it has {has} field{}, but the first line names {wanted}", plural(has));
            return Err(("bad_csv", what));
        }
        let kept = self.kept.iter().filter_map(|at| fields.get(*at).cloned()).collect();
        let mut take = |place: Option<usize>| place.and_then(|at| fields.get_mut(at)).map(std::mem::take);
        // An empty cell of an optional column says nothing; an empty text is a text.
        let device = take(self.device).filter(|cell| !cell.is_empty());
        let captured_at = take(self.captured_at).filter(|cell| !cell.trim().is_empty());
        Ok(Fields {
            text: take(Some(self.text)),
            device,
            captured_at: captured_at.map(When::ModificationTimes),
            kept,
        })
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn split(record: &[u8], delimiter: u8) -> Result<Vec<String>, RecordError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(record.len().clamp(16, 8192))
        .from_reader(record);
    let mut fields = csv::StringRecord::new();
    match reader.read_record(&mut fields) {
        Ok(true) => Ok(fields.iter().map(str::to_owned).collect()),
        Ok(false) => Err(("bad_csv", "it holds no field".to_owned())),
        Err(_) => Err(super::encoding::not_utf8("bad_csv", record)),
    }
}
