//! Scripts that read a whole store in other programs: Python with pyarrow, Python with DuckDB, and SQL for DuckDB.
//!
//! In: an open store. Out: one script that holds the key of every segment. Whoever has the script can read the store as it
//! is now, so it says so in its first lines.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use headwater_vault::{Error, StoreReader};

/// Who runs the script.
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

/// What a script needs to know of one segment.
struct Part {
    file: String,
    key: String,
    flat: Vec<String>,
    nested: Vec<String>,
}

/// Writes the script for the segments of a store.
///
/// # Errors
/// A segment's key or footer cannot be read.
pub fn write(store: &StoreReader, path: &Path, language: Language) -> Result<String, Error> {
    let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
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
    let comment = if language == Language::Sql { "--" } else { "#" };
    let mut script = head(store, &folder, comment);
    match language {
        Language::Python => python(&mut script, &parts),
        Language::Duckdb => duckdb(&mut script, &parts),
        Language::Sql => sql(&mut script, &parts),
    }
    Ok(script)
}

fn head(store: &StoreReader, folder: &Path, comment: &str) -> String {
    let rows: u64 = store.segments().iter().map(|s| s.rows).sum();
    let mut text = format!(
        "{comment} Reads the store {}: {rows} rows in {} segments.\n\
         {comment} The keys of these segments stand below: keep this script as you would keep the rows themselves.\n",
        one_line(&folder.display().to_string()),
        store.segments().len(),
    );
    let unsealed: usize = store.unsealed().iter().map(arrow::array::RecordBatch::num_rows).sum();
    if unsealed > 0 {
        let _ = writeln!(
            text,
            "{comment} {unsealed} more rows are in the log of a pipeline that is running; they are not read."
        );
    }
    text
}

fn python(script: &mut String, parts: &[Part]) {
    script.push_str("# Needs pyarrow 26 or later: pip install pyarrow\n\n");
    script.push_str("import base64\n\nimport pyarrow as pa\nimport pyarrow.parquet as pq\n");
    script.push_str("import pyarrow.parquet.encryption as pe\n\nSEGMENTS = [\n");
    for part in parts {
        let _ = writeln!(script, "    ({}, \"{}\"),", quoted(&part.file), part.key);
    }
    script.push_str(
        "]\n\n\n\
         def read(path, key):\n    \
             properties = pe.create_decryption_properties(footer_key=base64.b64decode(key))\n    \
             return pq.ParquetFile(path, decryption_properties=properties).read()\n\n\n\
         tables = [read(path, key) for path, key in SEGMENTS]\n\
         store = pa.concat_tables(tables, promote_options=\"default\") if tables else pa.table({})\n\n\
         if __name__ == \"__main__\":\n    print(store)\n",
    );
}

/// DuckDB (up to 2.0) cannot decrypt nested columns of a Parquet file. A segment that has any is decrypted by pyarrow and
/// handed over; all others DuckDB decrypts itself.
fn duckdb(script: &mut String, parts: &[Part]) {
    let any_nested = parts.iter().any(|p| !p.nested.is_empty());
    script.push_str("# Needs DuckDB 1.5 or later: pip install duckdb");
    script.push_str(if any_nested {
        " pyarrow\n# (DuckDB cannot decrypt nested columns yet: pyarrow does, where there are any.)\n\n"
    } else {
        "\n\n"
    });
    if any_nested {
        script.push_str("import base64\n\nimport duckdb\nimport pyarrow.parquet as pq\nimport pyarrow.parquet.encryption as pe\n");
    } else {
        script.push_str("import duckdb\n");
    }
    script.push_str("\n# (file, key, whether it has nested columns)\nSEGMENTS = [\n");
    for part in parts {
        let nested = if part.nested.is_empty() { "False" } else { "True" };
        let _ = writeln!(script, "    ({}, \"{}\", {nested}),", quoted(&part.file), part.key);
    }
    script.push_str("]\n\ndb = duckdb.connect()\nqueries = []\n");
    script.push_str("for number, (path, key, nested) in enumerate(SEGMENTS):\n");
    if any_nested {
        script.push_str(
            "    if nested:\n        \
                 properties = pe.create_decryption_properties(footer_key=base64.b64decode(key))\n        \
                 db.register(f\"segment_{number}\", pq.ParquetFile(path, decryption_properties=properties).read())\n        \
                 queries.append(f\"SELECT * FROM segment_{number}\")\n        \
                 continue\n",
        );
    }
    script.push_str(
        "    db.execute(f\"PRAGMA add_parquet_key('segment_{number}', '{key}')\")\n    \
             file = path.replace(\"'\", \"''\")\n    \
             config = f\"encryption_config = {{footer_key: 'segment_{number}'}}\"\n    \
             queries.append(f\"SELECT * FROM read_parquet('{file}', {config})\")\n\n\
         store = db.sql(\" UNION ALL BY NAME \".join(queries)) if queries else None\n\n\
         if __name__ == \"__main__\":\n    print(store)\n",
    );
}

fn sql(script: &mut String, parts: &[Part]) {
    script.push_str("-- Needs DuckDB 1.5 or later: duckdb -init THIS_FILE\n");
    let mut left_out: Vec<&str> = parts.iter().flat_map(|p| p.nested.iter().map(String::as_str)).collect();
    left_out.sort_unstable();
    left_out.dedup();
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|name| one_line(name)).collect();
        let _ = writeln!(
            script,
            "-- DuckDB cannot decrypt nested columns yet, so these are left out: {}. `--format duckdb` has them.",
            names.join(", ")
        );
    }
    for (number, part) in parts.iter().enumerate() {
        let _ = writeln!(script, "PRAGMA add_parquet_key('segment_{number}', '{}');", part.key);
    }
    if parts.is_empty() {
        return;
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
}

/// A Python string. JSON's escapes are Python's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name cannot end a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
