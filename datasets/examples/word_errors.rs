//! Word errors of lines: `file TAB reference TAB recognised` on standard input, one number for all on standard output.
//!
//! `cargo run -p headwater-datasets --example word_errors [--each] < lines.tsv`; with --each also one line per input
//! line that has errors.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, BufRead};
use std::process::ExitCode;

use headwater_datasets::wer::WordErrors;

fn main() -> ExitCode {
    let each = std::env::args().any(|argument| argument == "--each");
    let mut all = WordErrors::default();
    for (number, line) in io::stdin().lock().lines().map_while(Result::ok).enumerate() {
        let mut fields = line.split('\t');
        let (Some(file), Some(reference), Some(recognised)) = (fields.next(), fields.next(), fields.next())
        else {
            eprintln!("line {}: expected file, reference and recognised text, parted by tabs", number + 1);
            return ExitCode::FAILURE;
        };
        let found = WordErrors::between(reference, recognised);
        if each && found.errors() > 0 {
            println!("{file}: {found:?}");
        }
        all += found;
    }
    let rate = all.rate().map_or("no reference words".into(), |rate| format!("{:.2} %", 100.0 * rate));
    println!("word error rate {rate}: {all:?}");
    ExitCode::SUCCESS
}
