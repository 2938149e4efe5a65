//! Scripts that read a whole store in other programs: Python with pyarrow, Python with DuckDB, and SQL for DuckDB.
//!
//! In: an open store and the path of its root key. Out: one script. Those for Python hold no key: they read the root key and the
//! keystore when they are run, and so stay valid as the store grows. SQL alone cannot: its script holds the keys of the segments
//! of this moment, and says so in its first lines.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use headwater_vault::{Error, StoreReader};

/// Reads the keystore: part of both scripts for Python.
const KEYSTORE: &str = include_str!("keystore.py");
/// Reads the segments with pyarrow.
const PYARROW: &str = include_str!("pyarrow.py");
/// Reads the segments with DuckDB.
const DUCKDB: &str = include_str!("duckdb.py");

/// The tool that runs the script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python with pyarrow
    #[default]
    Python,
    /// Python with DuckDB
    Duckdb,
    /// DuckDB alone; without the columns that it cannot decrypt yet
    Sql,
}

impl Language {
    /// Returns true if its script holds keys.
    pub fn holds_keys(self) -> bool {
        self == Language::Sql
    }
}

/// Writes the script for a store whose root key is in a file.
///
/// # Errors
/// A segment's key or footer cannot be read.
pub fn write(store: &StoreReader, path: &Path, key: &Path, language: Language) -> Result<String, Error> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (folder, key) = (absolute(path), absolute(key));
    let python = |needs: &str, body: &str| {
        let (shown, shown_key) =
            (one_line(&folder.display().to_string()), one_line(&key.display().to_string()));
        let (folder, key) = (quoted(&folder.display().to_string()), quoted(&key.display().to_string()));
        format!(
            "# Reads the store {shown} as it is when this is run: all rows that are sealed by then.\n\
             # It holds no key: it reads the root key from {shown_key}.\n\
             # Needs {needs}\n\n{}\n\n{body}",
            KEYSTORE.replace("\"FOLDER\"", &folder).replace("\"ROOT_KEY\"", &key)
        )
    };
    Ok(match language {
        Language::Python => python("pyarrow 26 or later: pip install pyarrow cryptography", PYARROW),
        Language::Duckdb => python("DuckDB 1.5 or later: pip install duckdb pyarrow cryptography", DUCKDB),
        Language::Sql => sql(store, &folder)?,
    })
}

/// The facts of one segment that the script for SQL needs.
struct Part {
    file: String,
    key: String,
    flat: Vec<String>,
    nested: Vec<String>,
}

fn parts(store: &StoreReader, folder: &Path) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for segment in store.segments() {
        let file = folder.join(segment.path.file_name().unwrap_or_default()).display().to_string();
        let key = STANDARD.encode(store.seal(segment)?.key.expose());
        let schema = store.columns(segment)?;
        let (nested, flat): (Vec<_>, Vec<_>) =
            schema.fields().iter().partition(|f| f.data_type().is_nested());
        let names = |fields: Vec<&std::sync::Arc<arrow::datatypes::Field>>| {
            fields.into_iter().map(|f| f.name().clone()).collect()
        };
        parts.push(Part { file, key, flat: names(flat), nested: names(nested) });
    }
    Ok(parts)
}

fn sql(store: &StoreReader, folder: &Path) -> Result<String, Error> {
    let parts = parts(store, folder)?;
    let rows: u64 = store.segments().iter().map(|s| s.rows).sum();
    let mut script = format!(
        "-- Reads the store {} as it is now: {rows} rows in {} segments. Rows that are sealed later need a new script.\n\
         -- The keys of these segments stand below: keep this script as you would keep the rows themselves.\n",
        one_line(&folder.display().to_string()),
        store.segments().len(),
    );
    let unsealed: usize = store.unsealed().iter().map(arrow::array::RecordBatch::num_rows).sum();
    if unsealed > 0 {
        let _ = writeln!(
            script,
            "-- {unsealed} more rows are in the log of a pipeline that is running; they are not read."
        );
    }
    script.push_str("-- Needs DuckDB 1.5 or later: duckdb -init THIS_FILE\n");
    let mut left_out: Vec<&str> = parts.iter().flat_map(|p| p.nested.iter().map(String::as_str)).collect();
    left_out.sort_unstable();
    left_out.dedup();
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|name| one_line(name)).collect();
        let _ = writeln!(
            script,
            "-- DuckDB cannot decrypt nested columns yet, so these are excluded: {}. `--format duckdb` has them.",
            names.join(", ")
        );
    }
    for (number, part) in parts.iter().enumerate() {
        let _ = writeln!(script, "PRAGMA add_parquet_key('segment_{number}', '{}');", part.key);
    }
    if parts.is_empty() {
        return Ok(script);
    }
    script.push_str("CREATE TEMP VIEW store AS\n");
    for (number, part) in parts.iter().enumerate() {
        let columns: Vec<String> =
            part.flat.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
        let file = part.file.replace('\'', "''");
        let end = if number + 1 == parts.len() { ";" } else { "\nUNION ALL BY NAME" };
        let _ = writeln!(
            script,
            "SELECT {} FROM read_parquet('{file}', encryption_config = {{footer_key: 'segment_{number}'}}){end}",
            columns.join(", ")
        );
    }
    Ok(script)
}

/// A Python string. JSON's escapes are Python's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name cannot end a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
