//! Manifests of data sets: `manifest.toml` in, a [`Dataset`] or every fault of it out.
//!
//! One form, `headwater-dataset`; the two older ones (`headwater-recordings`, `headwater-texts`) are read too. Rows stand in the manifest
//! itself (`[[row]]`) or in files beside it (`[[file]]`). It must not know whether audio can be heard.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Apart, Canary, Dataset, FORMAT, Fault, Row, RowFile, Select, Span, rows_of};
use crate::manifest::fields::Fields;
use crate::manifest::mistake::place;
use crate::manifest::{Entity, Manifest, ManifestError, Report, is_below, read_entity};

const VERSION: i64 = 1;
const RECORDINGS: &str = "headwater-recordings";
const TEXTS: &str = "headwater-texts";

pub(super) fn read(path: &Path, select: &Select) -> Result<Dataset, Vec<Fault>> {
    let text = crate::regular::read_to_string(path)
        .map_err(|error| vec![Fault::new(path.display(), format!("the manifest cannot be read: {error}"))])?;
    let format = toml::from_str::<toml::Table>(&text)
        .ok()
        .and_then(|table| Some(table.get("format")?.as_str()?.to_owned()));
    let mut dataset = match format.as_deref() {
        Some(RECORDINGS) => recordings(path, &text)?,
        Some(TEXTS) => texts(path, &text)?,
        _ => described(path, &text)?,
    };
    dataset.root = path.parent().map(Path::to_owned).unwrap_or_default();
    if dataset.name.is_empty() {
        let folder = dataset.root.file_name().map(|name| name.to_string_lossy().into_owned());
        dataset.name = folder.unwrap_or_else(|| "dataset".to_owned());
    }
    read_files(&mut dataset, select)?;
    Ok(dataset)
}

/// Reads the rows that lie in files, after those of the manifest itself.
fn read_files(dataset: &mut Dataset, select: &Select) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    let columns: Vec<String> = dataset.columns.keys().cloned().collect();
    if let Some(asked) = &select.file {
        if !dataset.files.iter().any(|file| file.path == *asked) {
            let known: Vec<String> =
                dataset.files.iter().map(|file| file.path.display().to_string()).collect();
            let what =
                format!("there is no file `{}` of rows; there are: {}", asked.display(), known.join(", "));
            return Err(vec![Fault::new(dataset.root.display(), what)]);
        }
        dataset.rows.clear();
    }
    let wanted = |file: &&RowFile| select.file.as_ref().map_or(!file.aside, |asked| *asked == file.path);
    let several = !dataset.rows.is_empty() || dataset.files.iter().filter(wanted).count() > 1;
    for file in dataset.files.iter().filter(wanted) {
        match rows_of(&dataset.root.join(&file.path), &columns) {
            Ok(rows) => dataset.rows.extend(rows.into_iter().map(|mut row| {
                if several {
                    row.id = format!("{}:{}", file.path.display(), row.id);
                }
                row
            })),
            Err(wrong) => faults.extend(wrong),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The form of the recordings: `[[recording]]`.
fn recordings(path: &Path, text: &str) -> Result<Dataset, Vec<Fault>> {
    let manifest = Manifest::parse(path, text).map_err(|error| match error {
        ManifestError::Mistakes { mistakes } => mistakes
            .into_iter()
            .map(|m| Fault::new(format!("{}:{}:{}", path.display(), m.line, m.column), m.message))
            .collect(),
        ManifestError::Unreadable { error, .. } => vec![Fault::new(path.display(), error.to_string())],
    })?;
    let row = |recording: crate::manifest::Recording| Row {
        id: recording.file.display().to_string(),
        device: recording.device,
        captured_at: Some(recording.captured_at),
        audio: Some(recording.file),
        text: recording.text,
        clean: recording.clean,
        seconds: recording.seconds,
        sha256: recording.sha256,
        entities: recording.entities,
        place: format!("{}:{}", path.display(), recording.line),
        ..Row::default()
    };
    Ok(Dataset { rows: manifest.recordings.into_iter().map(row).collect(), ..Dataset::default() })
}

/// The form of the talk: a header with a table for each file, and much that only its recipe reads.
fn texts(path: &Path, text: &str) -> Result<Dataset, Vec<Fault>> {
    let wrong = |what: String| vec![Fault::new(path.display(), what)];
    let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))?;
    let said = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let columns = table.get("columns").and_then(toml::Value::as_table).into_iter().flatten();
    let files = table.get("file").and_then(toml::Value::as_array).into_iter().flatten();
    let file = |value: &toml::Value| {
        let said = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        Some(RowFile {
            path: PathBuf::from(said("file")?),
            rows: value.get("rows").and_then(toml::Value::as_integer).and_then(|n| u64::try_from(n).ok()),
            sha256: said("sha256"),
            aside: said("joins").is_some_and(|joins| joins != "start"),
        })
    };
    Ok(Dataset {
        name: said("name").unwrap_or_default(),
        licence: said("licence"),
        description: said("description"),
        columns: columns
            .filter_map(|(name, meaning)| Some((name.clone(), meaning.as_str()?.to_owned())))
            .collect(),
        files: files.filter_map(file).collect(),
        ..Dataset::default()
    })
}

pub(super) fn described(path: &Path, text: &str) -> Result<Dataset, Vec<Fault>> {
    let to_fault = |(start, what): (usize, String)| {
        let (line, column) = place(text, start);
        Fault::new(format!("{}:{line}:{column}", path.display()), what)
    };
    placed(path, text).map_err(|faults| faults.into_iter().map(to_fault).collect())
}

/// The same, with the byte offset of each fault.
pub(crate) fn placed(path: &Path, text: &str) -> Result<Dataset, Vec<(usize, String)>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<(usize, String)> =
        errors.iter().map(|e| (e.span().unwrap_or_default().start, e.message().to_owned())).collect();
    let mut at = |span: std::ops::Range<usize>, what: String| faults.push((span.start, what));
    let mut top = Fields::new("the manifest", document.span(), document.get_ref());
    let dataset = header(&mut top, path, text, &mut at);
    top.finish(&mut at);
    faults.sort();
    if faults.is_empty() { Ok(dataset) } else { Err(faults) }
}

fn header(top: &mut Fields<'_, '_>, path: &Path, text: &str, report: Report<'_>) -> Dataset {
    if let Some((format, span)) = top.string("format", report)
        && format != FORMAT
    {
        report(
            span,
            format!("`format` must be \"{FORMAT}\" (or one of the older \"{RECORDINGS}\", \"{TEXTS}\")"),
        );
    }
    if let Some((version, span)) = top.integer("version", report)
        && version != VERSION
    {
        report(span, format!("version {version} is not known here; this program reads version {VERSION}"));
    }
    let mut dataset = Dataset {
        name: top.string("name", report).map(|(name, _)| name).unwrap_or_default(),
        licence: top.optional("licence", |f, key| f.string(key, report)).map(|(licence, _)| licence),
        description: top.optional("description", |f, key| f.string(key, report)).map(|(text, _)| text),
        ..Dataset::default()
    };
    dataset.columns =
        named(top, "columns", report, |value| value.as_str().map(str::to_owned), "a text: its meaning");
    let apart = |value: &DeValue<'_>| match value.as_str()? {
        "rows" => Some(Apart::Rows),
        "devices" => Some(Apart::Devices),
        _ => None,
    };
    dataset.splits =
        named(top, "splits", report, apart, "what it shares with no other: \"rows\" or \"devices\"");
    for table in top.tables("file", report) {
        dataset.files.extend(Fields::of("[[file]]", table, report).and_then(|fields| file(fields, report)));
    }
    for table in top.tables("row", report) {
        let line = place(text, table.span().start).0;
        let Some(fields) = Fields::of("[[row]]", table, report) else { continue };
        let number = dataset.rows.len();
        dataset.rows.extend(row(fields, number, format!("{}:{line}", path.display()), report));
    }
    for table in top.tables("canary", report) {
        dataset
            .canaries
            .extend(Fields::of("[[canary]]", table, report).and_then(|fields| canary(fields, report)));
    }
    dataset
}

/// A table of names with one value each.
fn named<T>(
    top: &mut Fields<'_, '_>,
    key: &'static str,
    report: Report<'_>,
    read: impl Fn(&DeValue<'_>) -> Option<T>,
    expected: &str,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    let Some(value) = top.optional(key, |f, key| f.value(key)) else { return all };
    let DeValue::Table(table) = value.get_ref() else {
        report(value.span(), format!("`{key}` must be a table"));
        return all;
    };
    for (name, value) in table {
        match read(value.get_ref()) {
            Some(read) => drop(all.insert(name.get_ref().to_string(), read)),
            None => report(value.span(), format!("expected {expected}")),
        }
    }
    all
}

fn file(mut fields: Fields<'_, '_>, report: Report<'_>) -> Option<RowFile> {
    let path = fields.string("path", report);
    let rows = fields.optional("rows", |f, key| f.integer(key, report));
    let sha256 = digest(&mut fields, report);
    let aside = fields.optional("aside", |f, key| f.boolean(key, report));
    fields.finish(report);
    let (path, span) = path?;
    below(&path, span, "path", report);
    Some(RowFile {
        path: PathBuf::from(path),
        rows: rows.and_then(|(rows, _)| u64::try_from(rows).ok()),
        sha256,
        aside: aside.is_some_and(|(aside, _)| aside),
    })
}

fn below(path: &str, span: std::ops::Range<usize>, key: &str, report: Report<'_>) {
    if !is_below(Path::new(path)) {
        report(span, format!("`{key}` must be a relative path below the manifest's folder"));
    }
}

fn digest(fields: &mut Fields<'_, '_>, report: Report<'_>) -> Option<String> {
    let (digest, span) = fields.optional("sha256", |f, key| f.string(key, report))?;
    if digest.len() != 64 || !digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        report(span, "`sha256` must be 64 lower-case hexadecimal digits".to_owned());
    }
    Some(digest)
}

fn row(mut fields: Fields<'_, '_>, number: usize, stands: String, report: Report<'_>) -> Option<Row> {
    let begins = fields.span();
    let file = fields.optional("file", |f, key| f.string(key, report));
    let text = fields.optional("text", |f, key| f.string(key, report)).map(|(text, _)| text);
    let id = fields.optional("id", |f, key| f.string(key, report)).map(|(id, _)| id);
    let device = fields.string("device", report);
    let captured_at = fields.optional("captured_at", |f, key| f.timestamp(key, report));
    let seconds = fields.optional("seconds", |f, key| f.number(key, report)).map(|(seconds, _)| seconds);
    let clean = fields.optional("clean", |f, key| f.boolean(key, report)).is_some_and(|(clean, _)| clean);
    let split = fields.optional("split", |f, key| f.string(key, report)).map(|(split, _)| split);
    let _voice = fields.optional("voice", |f, key| f.string(key, report));
    let sha256 = digest(&mut fields, report);
    let listed = fields.tables("span", report);
    let spans: Vec<Span> = listed.into_iter().filter_map(|value| span(value, report)).collect();
    let annotated = fields.optional("annotated", |f, key| f.boolean(key, report)).is_some_and(|(yes, _)| yes);
    let entities: Vec<Entity> =
        fields.tables("entity", report).into_iter().filter_map(|value| read_entity(value, report)).collect();
    fields.finish(report);
    if text.is_none() && file.is_none() {
        report(begins, "a row needs `text` or `file`".to_owned());
    }
    if let Some((file, span)) = &file {
        below(file, span.clone(), "file", report);
    }
    let audio = file.map(|(file, _)| PathBuf::from(file));
    let named = || audio.as_ref().map_or_else(|| number.to_string(), |file| file.display().to_string());
    Some(Row {
        id: id.unwrap_or_else(named),
        device: device?.0,
        captured_at,
        text,
        clean,
        seconds,
        sha256,
        split,
        spans: (annotated || !spans.is_empty()).then_some(spans),
        entities,
        place: stands,
        audio,
        ..Row::default()
    })
}

fn span(value: &toml::Spanned<DeValue<'_>>, report: Report<'_>) -> Option<Span> {
    let mut fields = Fields::of("[[row.span]]", value, report)?;
    let kind = fields.string("kind", report);
    let start = fields.integer("start", report);
    let end = fields.integer("end", report);
    let optional = fields.optional("optional", |f, key| f.boolean(key, report)).is_some_and(|(yes, _)| yes);
    fields.finish(report);
    let (start, end) = (usize::try_from(start?.0).ok(), usize::try_from(end?.0).ok());
    match (start, end) {
        (Some(start), Some(end)) if start < end => Some(Span { kind: kind?.0, start, end, optional }),
        _ => {
            report(value.span(), "a span begins at 0 or later and ends behind its beginning".to_owned());
            None
        }
    }
}

fn canary(mut fields: Fields<'_, '_>, report: Report<'_>) -> Option<Canary> {
    let device = fields.optional("device", |f, key| f.string(key, report)).map(|(device, _)| device);
    let pattern = fields.string("pattern", report);
    let secret = fields.string("secret", report);
    let copies = fields.optional("copies", |f, key| f.integer(key, report)).map_or(1, |(copies, _)| copies);
    let group = fields.optional("group", |f, key| f.string(key, report)).map(|(group, _)| group);
    fields.finish(report);
    let ((pattern, at), (secret, digits)) = (pattern?, secret?);
    if pattern.matches("{}").count() != 1 {
        report(at, "`pattern` must hold {} once, where the secret stands".to_owned());
    }
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_digit()) {
        report(digits, "`secret` must be digits: others of the same length are drawn at random".to_owned());
    }
    Some(Canary { device, pattern, secret, copies: u64::try_from(copies).unwrap_or_default(), group })
}
