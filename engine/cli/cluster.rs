//! The verb `cluster`: certificates for the processes of a hosts.toml, and what would fail.
//!
//! In: a hosts.toml. Out: files beside it, lines about them, an exit code.

use std::io::Write;
use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use headwater_runtime::cluster::certs::{self, Finding};
use headwater_runtime::cluster::hosts::Hosts;

use crate::exit::Exit;

/// The verbs of clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterVerb {
    /// Make a private authority, and a certificate and a key for every process that has none
    Certs {
        /// The file that names the processes
        #[arg(value_hint = ValueHint::FilePath)]
        hosts: PathBuf,
        /// How many days certificates last
        #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: u64,
        /// Replace certificates that are there
        #[arg(long)]
        renew: bool,
    },
    /// Report what would fail: names, files, expiry of certificates, addresses
    Check {
        /// The file that names the processes
        #[arg(value_hint = ValueHint::FilePath)]
        hosts: PathBuf,
        /// Only what this process needs on this machine, and whether the others listen
        #[arg(long, value_name = "I")]
        process: Option<usize>,
    },
}

/// Carries out the verb; gives the exit code.
pub fn run(verb: &ClusterVerb, out: &mut dyn Write) -> Exit {
    let (ClusterVerb::Certs { hosts: path, .. } | ClusterVerb::Check { hosts: path, .. }) = verb;
    let hosts = match Hosts::read(path) {
        Ok(hosts) => hosts,
        Err(wrong) => {
            eprintln!("{wrong}");
            return Exit::Failed;
        }
    };
    let found = match verb {
        ClusterVerb::Certs { days, renew, .. } => certs::make(&hosts, *days, *renew),
        ClusterVerb::Check { process, .. } => match process.filter(|index| *index >= hosts.processes.len()) {
            Some(index) => {
                Err(format!("there is no process {index}; expected 0 to {}", hosts.processes.len() - 1))
            }
            None => Ok(certs::check(&hosts, *process)),
        },
    };
    match found {
        Ok(found) => show(&found, out),
        Err(wrong) => {
            eprintln!("error: {wrong}");
            Exit::Failed
        }
    }
}

fn show(found: &[Finding], out: &mut dyn Write) -> Exit {
    for Finding { fine, what } in found {
        let word = if *fine { "ok   " } else { "wrong" };
        // A reader that has closed its end wants no more lines; the exit code stays what it is.
        let _ = writeln!(out, "{word}  {what}");
    }
    Exit::of_mistakes(found.iter().any(|finding| !finding.fine))
}
