//! The audit log: no line can be changed, taken out or put in unnoticed, and a crash costs at most the last one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "rows/root.rs"]
mod root;

use std::path::Path;
use std::sync::Arc;

use headwater_vault::{AuditAction, AuditCheck, AuditLog, Fault, SimulatedDisk};
use root::Root;
use serde_json::json;

const FILE: &str = "/state/audit.log";

fn record(disk: &SimulatedDisk, root: u8, rows: u64) -> bool {
    let root = Root(root);
    let log = AuditLog::at(Path::new("/state"), &root, Arc::new(disk.clone()));
    log.record(AuditAction::Export, &[("path", json!("store")), ("rows", json!(rows))]).is_ok()
}

fn check(disk: &SimulatedDisk, root: u8) -> AuditCheck {
    AuditLog::at(Path::new("/state"), &Root(root), Arc::new(disk.clone())).check().unwrap()
}

#[test]
fn lines_are_read_back_and_every_change_is_noticed() {
    let disk = SimulatedDisk::new(1);
    assert!(check(&disk, 1).lines.is_empty());
    for rows in 0..3 {
        assert!(record(&disk, 1, rows));
    }
    let found = check(&disk, 1);
    assert_eq!(found.lines.iter().map(|line| line["rows"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((found.lines[1]["did"].as_str(), found.problems.len()), (Some("export"), 0));
    let whole = disk.bytes(Path::new(FILE)).unwrap();
    for bit in 0..(whole.len() - 1) * 8 {
        let damaged = disk.after_kill();
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        damaged.put(Path::new(FILE), bytes);
        let found = check(&damaged, 1);
        assert!(!found.problems.is_empty() || found.torn + found.other_keys > 0, "bit {bit} was not noticed");
    }
    let text = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for kept in [[0, 2].as_slice(), &[1, 2], &[1, 0, 2], &[0, 1, 1, 2]] {
        let damaged = disk.after_kill();
        damaged
            .put(Path::new(FILE), kept.iter().map(|n| format!("{}\n", lines[*n])).collect::<String>().into());
        assert!(!check(&damaged, 1).problems.is_empty(), "{kept:?}");
    }
}

#[test]
fn another_root_key_proves_the_order_only() {
    let disk = SimulatedDisk::new(1);
    record(&disk, 1, 0);
    record(&disk, 2, 1);
    let found = check(&disk, 2);
    assert_eq!((found.lines.len(), found.other_keys, found.problems.len()), (2, 1, 0));
}

#[test]
fn a_crash_costs_at_most_the_line_in_flight() {
    for at in 0..40 {
        let disk = SimulatedDisk::new(at);
        disk.fault_at(at, Fault::PowerCut);
        let acknowledged = (0..3).take_while(|rows| record(&disk, 1, *rows)).count();
        let after = disk.after_power_cut();
        assert!(record(&after, 1, 9));
        let found = check(&after, 1);
        assert!(found.problems.is_empty(), "call {at}: {:?}", found.problems);
        assert!(
            (acknowledged + 1..=acknowledged + 2).contains(&found.lines.len()),
            "call {at}: {} of {acknowledged}",
            found.lines.len()
        );
        assert!(found.torn <= 1);
    }
}
