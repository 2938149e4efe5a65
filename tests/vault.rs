//! The verbs `store` and `key` as a user calls them, over the store of format version 2 in tests/golden.

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
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vault-2");
        copy(&golden.join("store"), &folder.path().join("store"));
        for name in ["root.key", "root.backup.txt"] {
            fs::copy(golden.join(name), folder.path().join(name)).unwrap();
        }
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
        &["SEGMENT  DEVICE   ROWS", "3 rows of 2 devices in 2 segments", "2 rows in the log"],
        &[],
    );
    kept.check(
        "store verify store",
        0,
        &["2 segments with 3 rows and 2 rows in the log are as they were sealed; 0 problems"],
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
    assert_eq!(rows.len(), 5);
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
        &["5 rows written to rows.jsonl, which is not encrypted"],
        &[],
    );
    assert_eq!(fs::read_to_string(kept.path("rows.jsonl")).unwrap().lines().count(), 5);
    assert_eq!(fs::metadata(kept.path("rows.jsonl")).unwrap().mode() & 0o777, 0o600);
    kept.check("store export store --output rows.jsonl", 2, &[], &["is there already"]);
    for (output, more, begins) in [
        ("rows.parquet", "", "PAR1"),
        ("rows", " --clear parquet", "PAR1"),
        ("rows.csv", "", "device,source"),
        ("ROWS.CSV", "", "device,source"),
        ("lines.csv", " --format jsonl", "{\"device\""),
        ("rows.txt", "", "{\"device\""),
    ] {
        kept.check(&format!("store export store -o {output}{more}"), 0, &["5 rows written"], &[]);
        assert!(fs::read(kept.path(output)).unwrap().starts_with(begins.as_bytes()), "{output}{more}");
    }
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
    assert_eq!((code, out.lines().count()), (1, 3), "no rows of a damaged segment, and all of the others");
    assert!(
        out.matches("\"hall\"").count() == 1
            && error.contains("is damaged")
            && error.contains("store repair"),
        "{error}"
    );
    kept.check(
        "store export store -o rest.parquet",
        1,
        &["3 rows written"],
        &["rows of 1 segments are missing"],
    );
    kept.check("store forget store --device stranger", 1, &[], &["is it spelled so?"]);
}

#[test]
fn a_script_reads_what_waited_in_the_log_too() {
    let kept = Kept::copy();
    for format in ["python", "duckdb"] {
        kept.check(&format!("store key store --format {format}"), 0, &["It holds no key", "/root.key"], &[]);
    }
    kept.check("store ls store", 0, &["5 rows of 2 devices in 4 segments", "0 rows in the log"], &[]);
    assert!(!kept.path("data/state/audit.log").exists(), "nothing was shown that is secret");
    kept.check("store key store --format sql", 0, &["5 rows in 4 segments", "keep this script"], &[]);
    assert!(fs::read_to_string(kept.path("data/state/audit.log")).unwrap().contains("key use"));
    kept.check("store key store --output read.py", 0, &["script written to read.py"], &[]);
    assert_eq!(fs::metadata(kept.path("read.py")).unwrap().mode() & 0o777, 0o600);
    kept.check("store key store -o read.py", 2, &[], &["is there already"]);
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
    assert_eq!(kept.run("other.key", "store ls store").0, 2);
    let (code, printed, error) = kept.run("other.key", "key restore safe.txt");
    assert!(code == 0 && printed.contains("stays the current one"), "{printed}{error}");
    assert_eq!(kept.run("other.key", "store ls store").0, 0, "it is kept beside");
    assert!(kept.run("other.key", "key show").1.contains("older    486ede1c28465210"));
    assert_eq!(kept.run("other.key", "key restore safe.txt --force").0, 0);
    assert!(kept.run("other.key", "key show").1.contains("root key 486ede1c28465210"));
    fs::remove_file(kept.path("other.key")).unwrap();
    assert_eq!(kept.run("other.key", "store ls store").0, 2, "the current key must be there");
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
        &["rows      5", "sealed  3 in 2 segments of 2 devices", "in log  2"],
        &[],
    );
    kept.check("store compact store", 0, &["4 segments became 2"], &[]);
    assert_eq!(digest(), before, "the same rows in other files");
    kept.check("store repair store", 0, &["0 files repaired"], &[]);
    kept.check("key rotate store", 0, &["it was 486ede1c28465210", "1 folders are under it now"], &[]);
    let older = kept.path("root.key.486ede1c28465210");
    assert_eq!(fs::metadata(&older).unwrap().mode() & 0o777, 0o600);
    fs::remove_file(older).unwrap();
    assert_eq!(digest(), before, "it needs the new key alone");
    kept.check("key rotate stoer", 2, &[], &["there is no pipeline `stoer`"]);
    kept.check("key rotate .", 0, &["1 folders are under it now"], &[]);

    let (code, receipt, error) = kept.run("root.key", "store forget store --device hall");
    assert_eq!(code, 0, "{error}");
    for part in ["receipt: device \"hall\"", "its key is deleted", "3 rows, 1 segments"] {
        assert!(receipt.contains(part), "{receipt}");
    }
    let (_, rows, _) = kept.run("root.key", "store cat store --format jsonl");
    assert!(rows.lines().count() == 2 && !rows.contains("hall"), "{rows}");
    let (code, printed, _) = kept.run("root.key", "store verify store");
    assert!(code == 0 && printed.contains("0 problems"), "{printed}");

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
    kept.check("store ls store", 0, &["1 rows of 1 devices"], &[]);
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
    kept.check("store export store --output rows.jsonl", 0, &["5 rows written"], &[]);
    assert!(fs::read_to_string(kept.path("data/state/audit.log")).unwrap().contains("\"did\":\"export\""));
}
