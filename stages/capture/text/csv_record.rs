//! Comma-separated values with a header (RFC 4180).

use super::{Columns, Fields, Records, When, Wrong};

/// Reads CSV records by the places that the header gave.
#[derive(Debug)]
pub struct CsvRecords {
    width: usize,
    text: usize,
    device: Option<usize>,
    captured_at: Option<usize>,
    kept: Vec<usize>,
}

impl CsvRecords {
    /// Finds the columns in a header line.
    pub fn with_header(header: &[u8], columns: &Columns) -> Result<Self, Wrong> {
        let names = split(header)?;
        let found = |name: &str| names.iter().position(|known| known.trim() == name);
        let lacking = |name: &str| {
            let has: Vec<&str> = names.iter().map(|name| name.trim()).collect();
            let what = format!("there is no column `{name}`; the first line names {}", has.join(", "));
            Err(("column_missing", what))
        };
        let Some(text) = found(&columns.text) else { return lacking(&columns.text) };
        for column in columns.device.iter().chain([&columns.captured_at]) {
            if column.required && found(&column.name).is_none() {
                return lacking(&column.name);
            }
        }
        let mut kept = Vec::new();
        for name in &columns.kept {
            let Some(place) = found(name) else { return lacking(name) };
            kept.push(place);
        }
        let device = columns.device.as_ref().and_then(|column| found(&column.name));
        Ok(Self { width: names.len(), text, device, captured_at: found(&columns.captured_at.name), kept })
    }
}

impl Records for CsvRecords {
    /// A quoted field may hold line breaks. A quote inside an unquoted field is a character like others.
    fn is_open(&self, line: &[u8], open: bool) -> bool {
        let (mut quoted, mut at_start) = (open, !open);
        for byte in line {
            match byte {
                b'"' if quoted || at_start => (quoted, at_start) = (!quoted, quoted),
                b',' if !quoted => at_start = true,
                _ => at_start = false,
            }
        }
        quoted
    }

    fn read(&self, record: &[u8], _: &Columns) -> Result<Fields, Wrong> {
        let mut fields = split(record)?;
        if fields.len() != self.width {
            let what = format!("it has {} fields, but the first line names {}", fields.len(), self.width);
            return Err(("bad_csv", what));
        }
        let kept = self.kept.iter().filter_map(|at| fields.get(*at).cloned()).collect();
        let mut take = |place: Option<usize>| place.and_then(|at| fields.get_mut(at)).map(std::mem::take);
        // An empty cell of an optional column says nothing; an empty text is a text.
        let device = take(self.device).filter(|cell| !cell.is_empty());
        let captured_at = take(self.captured_at).filter(|cell| !cell.is_empty());
        Ok(Fields { text: take(Some(self.text)), device, captured_at: captured_at.map(When::Written), kept })
    }
}

fn split(record: &[u8]) -> Result<Vec<String>, Wrong> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(record.len().clamp(16, 8192))
        .from_reader(record);
    let mut fields = csv::StringRecord::new();
    match reader.read_record(&mut fields) {
        Ok(true) => Ok(fields.iter().map(str::to_owned).collect()),
        Ok(false) => Err(("bad_csv", "it holds no field".to_owned())),
        Err(_) => Err(("bad_csv", "it is not valid UTF-8".to_owned())),
    }
}
