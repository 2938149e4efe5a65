//! Headwater as a service (docs/operations.md): installed, started by another user on a system that cannot be written, without a home; its
//! unit; and its state brought back on another machine. What a machine does not let a test do is printed as SKIPPED.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_headwater");

fn said(done: &Output) -> String {
    [&done.stdout, &done.stderr].map(|actual| String::from_utf8_lossy(actual).into_owned()).concat()
}

fn script(name: &str, args: &[&str]) -> String {
    let done = Command::new(format!("{HOUSE}/scripts/{name}")).args(args).output().unwrap();
    assert!(done.status.success(), "{name}: {}", said(&done));
    String::from_utf8(done.stdout).unwrap()
}

fn installed(site: &Site) -> PathBuf {
    let prefix = site.path("opt");
    script("install", &["--program", PROGRAM, prefix.to_str().unwrap()]);
    prefix
}

/// Text lines through redaction into a store, all below one folder.
fn pipeline(folder: &Path, lines: std::ops::Range<usize>) {
    let line = |n: usize| {
        format!(
            "{{\"device\": \"device-{}\", \"captured_at\": \"2026-03-02T08:{n:02}:00Z\", \"text\": \"call 555-01{n:02} about order {n}\"}}\n",
            n % 3
        )
    };
    fs::write(folder.join("talk.jsonl"), lines.map(line).collect::<String>()).unwrap();
    let text = "[pipeline]\nname = 'talk'\nepoch = { rows = 4 }\n[stage.talk]\ntype = 'capture'\npath = 'talk.jsonl'\n\
                [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n\
                [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = 'vault'\n";
    fs::write(folder.join("talk.toml"), text).unwrap();
}

/// Every program that cargo made finds its libraries from where it lies, and what is installed looks nowhere else than beside itself.
#[test]
fn no_program_looks_for_libraries_at_an_absolute_place() {
    let site = Site::new();
    let places = |program: &Path| -> Vec<String> {
        let actual = script("runpath", &[program.to_str().unwrap()]);
        actual.lines().filter_map(|line| line.strip_prefix("place ")).map(str::to_owned).collect()
    };
    let this = std::env::current_exe().unwrap();
    for program in [Path::new(PROGRAM), &this] {
        let places = places(program);
        assert!(
            places.iter().all(|place| place.starts_with("$ORIGIN/")),
            "{}: {places:?}",
            program.display()
        );
    }
    let prefix = installed(&site);
    let left = places(&prefix.join("bin/headwater"));
    assert!(left.iter().all(|place| place == "$ORIGIN/../lib/headwater"), "{left:?}");
    let again = Command::new(prefix.join("bin/headwater")).arg("--version").env_clear().output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    // An upgrade while it is there already.
    assert_eq!(installed(&site), prefix);
}

/// Another user, no home, nothing to write but the state folder, as the unit has it.
#[test]
fn another_user_runs_it_on_a_system_that_cannot_be_written() {
    let site = Site::new();
    fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let prefix = installed(&site);
    let state = site.path("state-of-the-service");
    fs::create_dir(&state).unwrap();
    fs::create_dir(site.path("etc")).unwrap();
    pipeline(&site.path("etc"), 0..20);
    let inside = format!(
        "mount --make-rprivate / && mount --bind {state} {state} && mount -o remount,bind,ro / && chown 65534:65534 {state} && cd {state} && \
         if touch {etc}/x 2>/dev/null; then echo the system can be written; exit 77; fi && \
         exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set -all \
         env -i TMPDIR={state} \"$@\"",
        state = state.display(),
        etc = site.path("etc").display()
    );
    let run = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &inside, "sh"]).args(args).output()
    };
    let tried = run(&["true"]);
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        println!(
            "SKIPPED: no mounts of its own, or no other user, can be had here: {:?}",
            tried.map(|tried| said(&tried))
        );
        return;
    }
    let program = prefix.join("bin/headwater").display().to_string();
    let talk = format!("stage.talk.path={}", site.path("etc/talk.jsonl").display());
    let file = site.path("etc/talk.toml").display().to_string();
    let homeless = run(&[&program, "run", &file, "--set", &talk, "--quiet"]).unwrap();
    assert_eq!(homeless.status.code(), Some(2), "{}", said(&homeless));
    assert!(said(&homeless).contains("HOME is not set; expected --key-file FILE"), "{}", said(&homeless));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing was made in the working directory");
    let ran = run(&[
        &program,
        "run",
        &file,
        "--set",
        &talk,
        "--supervise",
        "--key-file",
        "keys/root.key",
        "--state",
        "state",
    ])
    .unwrap();
    assert!(ran.status.success() && said(&ran).contains("digest     vault"), "{}", said(&ran));
    let cat = run(&[&program, "store", "cat", "vault", "--key-file", "keys/root.key", "--format", "jsonl"])
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&cat.stdout).lines().count(), 20, "{}", said(&cat));
}

#[test]
fn without_a_home_no_verb_makes_or_looks_for_a_key_in_the_working_directory() {
    let site = Site::new();
    pipeline(&site.path(""), 0..2);
    let check = |variables: &[(&str, &str)], args: &str, code: i32, expected: &str| {
        let mut command = Command::new(PROGRAM);
        command.env_clear().envs(variables.iter().copied()).current_dir(site.path("")).args(args.split(' '));
        let done = command.output().unwrap();
        assert!(
            done.status.code() == Some(code) && said(&done).contains(expected),
            "{variables:?} {args}: {done:?}"
        );
    };
    let missing = "there is no place for the root key: HOME is not set";
    for home in [&[][..], &[("HOME", "")], &[("HOME", "here")], &[("XDG_DATA_HOME", "here")]] {
        for verb in [
            "run talk.toml",
            "store ls vault",
            "key show",
            "key backup -",
            "state show talk",
            "quarantine ls talk",
            "forget talk.toml --device x",
            "redact reveal",
        ] {
            check(home, verb, 2, missing);
        }
        check(home, "check talk.toml", 0, "fine");
        check(home, "config", 0, "there is none, since HOME is not set");
    }
    assert_eq!(fs::read_dir(site.path("")).unwrap().count(), 2, "nothing was made");
    check(&[("HEADWATER_KEY_FILE", "k")], "run talk.toml", 0, "digest");
    check(&[], "store cat vault --key-file k", 0, "order 1");
    check(&[("HOME", site.path("").to_str().unwrap())], "key show", 2, ".local/share/headwater/root.key");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let site = Site::new();
    let prefix = installed(&site);
    let unit = prefix.join("lib/systemd/system/headwater@.service");
    let text = fs::read_to_string(&unit).unwrap();
    assert!(text.contains(&format!("ExecStart={}/bin/headwater run", prefix.display())), "{text}");
    let systemd = |args: &[&str]| Command::new("systemd-analyze").args(args).arg(&unit).output();
    let Ok(verified) = systemd(&["verify", "--man=no"]) else {
        println!("SKIPPED: systemd-analyze is not there (apt-get install systemd)");
        return;
    };
    let ours = |line: &&str| line.contains("headwater");
    let wrong: Vec<String> = said(&verified).lines().filter(ours).map(str::to_owned).collect();
    assert!(verified.status.success() && wrong.is_empty(), "{}", said(&verified));
    let secure = systemd(&["security", "--offline=true", "--threshold=25", "--no-pager"]).unwrap();
    if said(&secure).contains("unrecognized option") {
        println!("SKIPPED: this systemd cannot judge a unit that is not loaded");
        return;
    }
    assert!(secure.status.success(), "{}", said(&secure));
}

/// The pipeline and the options of the page are such as the program takes.
#[test]
fn the_pages_service_is_one_that_runs() {
    let site = Site::new();
    let page = fs::read_to_string(Path::new(HOUSE).join("docs/operations.md")).unwrap();
    let block = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(site.path("kitchen.toml"), block).unwrap();
    let checked = site.command(&["check"]).arg(site.path("kitchen.toml")).output().unwrap();
    assert!(checked.status.success(), "{}", said(&checked));
    let unit = fs::read_to_string(Path::new(HOUSE).join("docs/systemd/headwater@.service")).unwrap();
    for named in ["OPTIONS", "/etc/headwater/%i.env", "headwater-key"] {
        assert!(unit.contains(named) && page.contains(&named.replace("%i", "kitchen")), "{named}");
    }
}

/// What docs/operations.md says of backups: the folder of the service and the text of its key are all.
#[test]
fn a_backup_goes_on_on_another_machine() {
    let digest = |site: &Site, folder: &str| {
        let mut command = site.command(&["store", "digest", "vault", "--key-file", "key/root.key"]);
        let done = command.current_dir(site.path(folder)).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let site = Site::new();
    let command = |folder: &str, words: &str| {
        let mut command = site.command(&words.split(' ').collect::<Vec<_>>());
        let done = command
            .args(["--state", "state", "--key-file", "key/root.key"])
            .current_dir(site.path(folder))
            .output();
        let done = done.unwrap();
        assert!(done.status.success(), "{words}: {}", said(&done));
        said(&done)
    };
    for folder in ["undisturbed", "here"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    pipeline(&site.path("undisturbed"), 0..40);
    command("undisturbed", "run talk.toml");
    pipeline(&site.path("here"), 0..20);
    command("here", "run talk.toml");
    command("here", "key backup key.txt");
    // The copy, without the key: that lies apart, as a text.
    let copied = Command::new("cp").arg("-a").args([site.path("here"), site.path("there")]).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(site.path("there/key")).unwrap();
    fs::remove_dir_all(site.path("here")).unwrap();
    command("there", "key restore key.txt");
    command("there", "state verify talk");
    command("there", "store verify vault");
    pipeline(&site.path("there"), 0..40);
    let ran = command("there", "run talk.toml");
    assert!(ran.contains("epochs were committed by earlier runs"), "{ran}");
    assert!(ran.contains("new rows 20"), "{ran}");
    assert_eq!(digest(&site, "there"), digest(&site, "undisturbed"));
}
