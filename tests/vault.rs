//! The verbs `store` and `key` as a user calls them, over the kept store of format version 1.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    /// A copy of the kept files; the checkout itself stays as it is.
    fn copy() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vault"), folder.path());
        fs::set_permissions(folder.path().join("root.key"), fs::Permissions::from_mode(0o600)).unwrap();
        Kept { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a verb in the folder: exit code, standard output, standard error.
    fn run(&self, key: &str, arguments: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command.current_dir(self.folder.path()).args(["--key-file", key]).args(arguments.split(' '));
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn check(&self, arguments: &str, code: i32, out: &[&str], error: &[&str]) {
        let (found, stdout, stderr) = self.run("root.key", arguments);
        assert_eq!(found, code, "{arguments}\n{stdout}\n{stderr}");
        for part in out {
            assert!(stdout.contains(part), "{arguments}: no {part:?} in\n{stdout}");
        }
        for part in error {
            assert!(stderr.contains(part), "{arguments}: no {part:?} in\n{stderr}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_store_is_shown_in_every_form() {
    let kept = Kept::copy();
    kept.check(
        "store ls store",
        0,
        &["SEGMENT  DEVICE   ROWS", "5 rows of 2 devices in 3 segments", "2 rows in the log"],
        &[],
    );
    kept.check(
        "store verify store",
        0,
        &["3 segments with 5 rows and 2 rows in the log are as they were sealed; 0 problems"],
        &[],
    );
    kept.check(
        "store cat store",
        0,
        &["DEVICE   SOURCE  SEQ  PART", "2023-11-14T22:13:20Z", "[{\"kind\":\"PHONE\""],
        &[],
    );
    let (_, lines, _) = kept.run("root.key", "store cat store --format jsonl");
    let rows: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 7);
    assert_eq!((&rows[1]["device"], &rows[1]["seq"]), (&"hall".into(), &1.into()));
    assert_eq!(rows[1]["entities"][0]["kind"], "PHONE");
    let (_, text, _) = kept.run("root.key", "store cat store --format csv --limit 4");
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(
        text.starts_with(
            "device,source,seq,part,captured_at,text,entities\nhall,mic,0,0,2023-11-14T22:13:20Z,"
        ),
        "{text}"
    );
    let (_, text, _) = kept.run("root.key", "store cat store --format jsonl --limit 0");
    assert_eq!(text, "");
}

#[test]
fn rows_leave_the_encryption_only_on_request() {
    let kept = Kept::copy();
    kept.check(
        "store export store --output rows.jsonl",
        0,
        &["7 rows written to rows.jsonl, which is not encrypted"],
        &[],
    );
    assert_eq!(fs::read_to_string(kept.path("rows.jsonl")).unwrap().lines().count(), 7);
    assert_eq!(fs::metadata(kept.path("rows.jsonl")).unwrap().mode() & 0o777, 0o600);
    kept.check("store export store --output rows.jsonl", 2, &[], &["is there already"]);
    kept.check("store export store --output rows.parquet --clear parquet", 0, &["7 rows written"], &[]);
    assert_eq!(&fs::read(kept.path("rows.parquet")).unwrap()[..4], b"PAR1");
    kept.check(
        "store export store --output x --clear parquet --format csv",
        2,
        &[],
        &["cannot be used with"],
    );
    assert!(!kept.path("x").exists() && !kept.path("x.part").exists());
}

#[test]
fn what_is_wrong_is_told_with_an_exit_code() {
    let kept = Kept::copy();
    kept.check("store ls nowhere", 2, &[], &["there is no keystore at nowhere/keystore"]);
    let (code, out, error) = kept.run("other.key", "store cat store");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("there is no root key at other.key"), "{error}");
    assert!(!kept.path("other.key").exists(), "reading makes no key");
    let segment = fs::read_dir(kept.path("store")).unwrap().map(|e| e.unwrap().path());
    let segment = segment.into_iter().find(|p| p.to_string_lossy().contains("00000001")).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    kept.check("store verify store", 1, &["problem: ", "00000001", "is damaged", "1 problems"], &[]);
    let (code, out, error) = kept.run("root.key", "store cat store --format jsonl");
    assert_eq!((code, out.as_str()), (2, ""), "no rows of a damaged segment");
    assert!(error.contains("is damaged"), "{error}");
}

#[test]
fn a_script_reads_what_waited_in_the_log_too() {
    let kept = Kept::copy();
    for format in ["python", "duckdb", "sql"] {
        kept.check(
            &format!("store key store --format {format}"),
            0,
            &["7 rows in 4 segments", "keep this script"],
            &[],
        );
    }
    kept.check("store ls store", 0, &["7 rows of 2 devices in 4 segments", "0 rows in the log"], &[]);
}

#[test]
fn the_key_goes_to_a_safe_and_comes_back() {
    let kept = Kept::copy();
    let secret = fs::read_to_string(kept.path("root.backup.txt")).unwrap();
    let group =
        secret.lines().find_map(|l| l.strip_prefix("key  ")).unwrap().split(' ').next().unwrap().to_owned();
    let (code, shown, _) = kept.run("root.key", "key show");
    assert!(
        code == 0 && shown.contains("root key 486ede1c28465210") && shown.contains("headwater key backup"),
        "{shown}"
    );
    assert!(!shown.contains(&group));
    kept.check("key backup safe.txt", 0, &["written to safe.txt"], &[]);
    assert_eq!(fs::metadata(kept.path("safe.txt")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(kept.path("safe.txt")).unwrap(), secret);
    kept.check("key backup safe.txt", 2, &[], &["safe.txt"]);
    kept.check("key backup -", 0, &[&group], &[]);

    fs::remove_file(kept.path("root.key")).unwrap();
    kept.check("key show", 2, &[], &["there is no root key"]);
    kept.check("key restore safe.txt", 0, &["root key 486ede1c28465210"], &[]);
    kept.check("store verify store", 0, &["0 problems"], &[]);

    let other = headwater_vault::KeyFile::at(kept.path("other.key"));
    other.read_or_create().unwrap();
    let (code, _, error) = kept.run("other.key", "key restore safe.txt");
    assert!(code == 2 && error.contains("already holds root key"), "{error}");
    assert_eq!(kept.run("other.key", "store ls store").0, 2);
    assert_eq!(kept.run("other.key", "key restore safe.txt --force").0, 0);
    assert_eq!(kept.run("other.key", "store ls store").0, 0);
    fs::set_permissions(kept.path("root.key"), fs::Permissions::from_mode(0o644)).unwrap();
    kept.check("store ls store", 2, &[], &["chmod 600"]);
}

#[test]
fn a_store_is_kept_in_order_and_its_deeds_are_written_down() {
    let kept = Kept::copy();
    let digest = || {
        let (code, digest, error) = kept.run("root.key", "store digest store");
        assert!(code == 0 && digest.trim().len() == 64, "{digest}{error}");
        digest
    };
    let before = digest();
    kept.check(
        "store stat store",
        0,
        &["rows      7", "sealed  5 in 3 segments of 2 devices", "in log  2"],
        &[],
    );
    kept.check("store compact store", 0, &["4 segments became 3"], &[]);
    assert_eq!(digest(), before, "the same rows in other files");
    kept.check("store repair store", 0, &["0 files repaired"], &[]);
    kept.check("store rotate-key store --new-key-file new.key", 0, &["is now under root key"], &[]);
    kept.check("store rotate-key store --new-key-file new.key", 0, &["was already under root key"], &[]);
    kept.check("store ls store", 2, &[], &["was made with root key"]);
    let (code, same, error) = kept.run("new.key", "store digest store");
    assert_eq!((code, same), (0, before), "{error}");

    let (code, receipt, error) = kept.run("new.key", "store forget store --device hall");
    assert_eq!(code, 0, "{error}");
    for part in ["receipt: device \"hall\"", "its key is deleted", "2 rows, 1 segments"] {
        assert!(receipt.contains(part), "{receipt}");
    }
    let (_, rows, _) = kept.run("new.key", "store cat store --format jsonl");
    assert!(rows.lines().count() == 5 && !rows.contains("hall"), "{rows}");
    let (code, told, _) = kept.run("new.key", "store verify store");
    assert!(code == 0 && told.contains("0 problems"), "{told}");

    let audit = fs::read_to_string(kept.path("data/state/audit.log")).unwrap();
    let deeds: Vec<serde_json::Value> =
        audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let did: Vec<_> = deeds.iter().map(|deed| deed["did"].as_str().unwrap()).collect();
    assert_eq!(did, ["key rotation", "key rotation", "forget"]);
    assert_eq!(deeds[2]["device"], "hall");
    assert!(!audit.contains("sentence"), "no value of a row");
}

#[test]
fn what_is_damaged_is_moved_aside_with_what_it_cost() {
    let kept = Kept::copy();
    let segment = fs::read_dir(kept.path("store")).unwrap().map(|e| e.unwrap().path());
    let segment = segment.into_iter().find(|p| p.to_string_lossy().contains("00000001")).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    kept.check("store verify store", 1, &["1 problems"], &[]);
    kept.check(
        "store repair store",
        0,
        &["what was wrong: ", "its bytes are now at", ".parquet.damaged", "lost: 2 rows", "1 files repaired"],
        &[],
    );
    kept.check("store verify store", 0, &["0 problems"], &[]);
    kept.check("store ls store", 0, &["3 rows of 1 devices"], &[]);
    kept.check("store repair store", 0, &["0 files repaired"], &[]);
}

#[test]
fn without_an_audit_log_nothing_leaves_the_encryption() {
    let kept = Kept::copy();
    // A folder where the file should be.
    fs::create_dir_all(kept.path("data/state/audit.log")).unwrap();
    kept.check("store export store --output rows.jsonl", 2, &[], &["audit.log"]);
    kept.check("store forget store --device hall", 2, &[], &["audit.log"]);
    kept.check("key backup safe.txt", 2, &[], &["audit.log"]);
    assert!(!kept.path("rows.jsonl").exists() && !kept.path("safe.txt").exists());
    kept.check("store cat store --format csv", 0, &["hall"], &[]);
    fs::remove_dir(kept.path("data/state/audit.log")).unwrap();
    kept.check("store export store --output rows.jsonl", 0, &["7 rows written"], &[]);
    assert!(fs::read_to_string(kept.path("data/state/audit.log")).unwrap().contains("\"did\":\"export\""));
}
