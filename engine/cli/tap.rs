//! The verb `tap`: a look at the rows that leave a port of a pipeline while it runs.
//!
//! In: a pipeline, a port, how much is wanted. Out: rows as a table or as JSON lines, and how many were passed over. The run's
//! side of it is in `serve`; the two speak over a socket in the state folder (docs/formats/tap.md). The run never waits for it.

mod message;
pub(crate) mod serve;
mod socket;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use headwater_contract::{Result, StageError};
use serde_json::Value;

use crate::exit::{self, Exit};
use crate::site::Settings;
use crate::table::cut;
use message::{TapMessage, Wish};

/// The arguments of the verb.
#[derive(Clone, Debug, Args)]
pub struct TapArgs {
    /// The pipeline: its name or its file
    #[arg(value_hint = ValueHint::FilePath)]
    pub pipeline: String,
    /// The port: STAGE, STAGE.PORT or STAGE.rejected
    pub port: String,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Only every N-th row
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: u64,
    /// At most so many rows a second
    #[arg(long, value_name = "ROWS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// Stop after so many rows
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u64>,
    /// Also look at a port of raw rows; it is written down in the audit log
    #[arg(long)]
    pub raw: bool,
}

/// Looks until the run ends or the reader goes; gives the exit code.
pub fn run(args: &TapArgs, settings: &Settings, out: &mut dyn Write) -> Exit {
    match look(args, settings, out) {
        Ok(()) => Exit::Fine,
        Err(error) => exit::fails(&error, Exit::Failed),
    }
}

fn look(args: &TapArgs, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let name = &args.pipeline;
    let folder: PathBuf = settings.site(name).state;
    let stream = socket::connect(&folder).map_err(|error| {
        StageError::new(format!(
            "no run of `{name}` lets itself be looked at in {}: {error}",
            folder.display()
        ))
        .expected("a run that goes on now, on this machine, with this --state")
    })?;
    let wish = Wish { port: args.port.clone(), raw: args.raw, sample: args.sample, rate: args.rate };
    let broken = |e: std::io::Error| StageError::new(format!("the run does not answer: {e}"));
    (&stream).write_all(wish.line().as_bytes()).map_err(broken)?;
    let mut lines = BufReader::new(&stream).lines();
    let mut shown = 0;
    let mut table = Table::default();
    for line in &mut lines {
        let Some(message) = TapMessage::read(&line.map_err(broken)?) else {
            return Err(StageError::new("the run answers in a way that this program does not know"));
        };
        let is_row = matches!(message, TapMessage::Row(_));
        let written = match message {
            TapMessage::Refused(why) => return Err(StageError::new(why)),
            TapMessage::Begun { port, label, processes } => {
                eprintln!("{port}: {label} rows{}", elsewhere(processes));
                Ok(())
            }
            TapMessage::Row(row) if args.json => writeln!(out, "{}", Value::Object(row)),
            TapMessage::Row(row) => out.write_all(table.lines(&row).as_bytes()),
            TapMessage::PassedOver(rows) => {
                eprintln!("{rows} rows passed unseen");
                Ok(())
            }
        };
        written
            .and_then(|()| out.flush())
            .map_err(|error| StageError::new(format!("the output: {error}")))?;
        shown += u64::from(is_row);
        if args.limit.is_some_and(|limit| shown >= limit) {
            return Ok(());
        }
    }
    Ok(())
}

fn elsewhere(processes: usize) -> &'static str {
    if processes > 1 { ", those of other processes up to half a second later" } else { "" }
}

/// Rows as lines whose columns stand below each other as far as the widths so far allow.
#[derive(Default)]
struct Table {
    columns: Vec<String>,
    widths: Vec<usize>,
}

impl Table {
    /// A row as a line, with a head line before it where the columns are others than before.
    fn lines(&mut self, row: &serde_json::Map<String, Value>) -> String {
        let columns: Vec<String> = row.keys().cloned().collect();
        let mut lines = Vec::new();
        if columns != self.columns {
            self.widths = vec![0; columns.len()];
            lines.push(columns.iter().map(|name| name.to_uppercase()).collect());
            self.columns = columns;
        }
        lines.push(row.values().map(cell).collect::<Vec<String>>());
        let mut text = String::new();
        for line in lines {
            let padded = line.iter().zip(&mut self.widths).map(|(cell, width)| {
                *width = (*width).max(cell.chars().count());
                format!("{cell:<0$}", *width)
            });
            text += padded.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| cut(&value.to_string()), cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_stand_below_each_other() {
        let mut table = Table::default();
        let mut lines = |row: Value| table.lines(row.as_object().unwrap());
        assert_eq!(
            lines(json!({ "device": "kitchen", "n": 1 })),
            "DEVICE   N\nkitchen  1\n".replace("DEVICE   N", "DEVICE  N")
        );
        assert_eq!(lines(json!({ "device": "hall", "n": 20 })), "hall     20\n");
        assert_eq!(lines(json!({ "text": "a\u{1b}[2J" })), "TEXT\na [2J\n");
        assert_eq!(cell(&json!("x".repeat(100))).chars().count(), crate::table::CELL);
    }
}
