//! Words that lead somewhere: every command that a run or a verb prints works as it is printed, with the state, the key and the params of
//! the run that printed it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use site::Site;

/// Names that a shell would break.
const SETTINGS: &str = "--state 'the state' --key-file 'my keys/root.key'";
const PARAMS: &str = "--param talk=talk.jsonl --param 'vault=my vault'";

fn shell(site: &Site, command: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_headwater")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(site.path(""))
        .env_clear()
        .env("PATH", path)
        .env("HOME", site.path("home"));
    shell.output().unwrap()
}

fn said(done: &Output) -> String {
    [&done.stdout, &done.stderr].map(|actual| String::from_utf8_lossy(actual).into_owned()).concat()
}

/// Commands of this program in what it printed: between backticks, or to the end of the line.
fn commands(said: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in said.lines() {
        for (at, _) in line.match_indices("headwater ") {
            let (before, rest) = line.split_at(at);
            let quoted = before.ends_with('`');
            let command = if quoted { rest.split('`').next().unwrap_or(rest) } else { rest };
            let verb = command.split(' ').nth(1).unwrap_or_default();
            if verb.starts_with(|c: char| c.is_ascii_lowercase()) && (quoted || before.ends_with([' ', ':']))
            {
                found.insert(command.trim().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_hint_is_a_command_that_works() {
    let site = Site::new();
    let line = |n: usize| format!("{{\"device\": \"device {}\", \"text\": \"order {n}\"}}\n", n % 3);
    fs::write(site.path("talk.jsonl"), (0..20).map(line).collect::<String>() + "no JSON\n").unwrap();
    fs::write(site.path("bad.jsonl"), "no JSON\n").unwrap();
    let text = "[pipeline]\nname = 'talk'\n[params]\ntalk = { default = 'nowhere.jsonl' }\nvault = {}\n\
                [stage.talk]\ntype = 'capture'\npath = '${talk}'\n[stage.redact]\ntype = 'redact'\nfrom = 'talk'\n\
                [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '${vault}'\n";
    fs::write(site.path("talk.toml"), text).unwrap();
    fs::write(site.path("bad.toml"), text.replace("name = 'talk'", "name = 'bad'")).unwrap();
    let run = format!("headwater run talk.toml {PARAMS} {SETTINGS}");
    let hints = RefCell::new(BTreeSet::new());
    let say = |command: &str, expected: &[i32]| {
        let done = shell(&site, command);
        assert!(
            expected.contains(&done.status.code().unwrap()),
            "{command}: {}\n{}",
            done.status,
            said(&done)
        );
        let found = commands(&said(&done));
        hints.borrow_mut().extend(found.iter().cloned());
        found
    };
    let first = say(&run, &[0]);
    assert!(first.iter().any(|hint| hint.starts_with("headwater store cat 'my vault' --state")), "{first:?}");
    assert!(first.iter().any(|hint| hint.starts_with("headwater quarantine ls talk --state")), "{first:?}");
    let again = say(&run, &[0]);
    assert!(
        again.contains(&format!("headwater run talk.toml {PARAMS} --fresh --yes {SETTINGS}")),
        "{again:?}"
    );
    say(&format!("headwater run bad.toml --param talk=bad.jsonl --param 'vault=bad vault' {SETTINGS}"), &[1]);
    say(&format!("headwater quarantine retry talk.toml --stage redact {PARAMS} {SETTINGS}"), &[1]);
    say(&format!("headwater adapter forget talk.toml --device 'device 2' {PARAMS} {SETTINGS}"), &[0, 1]);
    say(&format!("headwater key show {SETTINGS}"), &[0]);
    say(&format!("headwater state verify talk {SETTINGS}"), &[0]);
    say("headwater check talk.toml", &[0, 1]);
    say("headwater stages", &[0]);
    say("headwater explain H9999", &[2]);
    say("headwater new 'a new one'", &[0]);
    say("headwater dataset new 'a new one'", &[0, 1]);
    work(&site, &hints.take());
    // Damage: a segment, and the state.
    let damage = |folder: &str, suffix: &str| {
        let files = fs::read_dir(site.path(folder)).unwrap().map(|entry| entry.unwrap().path());
        let file = files
            .filter(|path| path.to_string_lossy().ends_with(suffix))
            .max_by_key(|path| fs::metadata(path).unwrap().len());
        let file = file.unwrap_or_else(|| panic!("nothing ends with {suffix} in {folder}"));
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    };
    damage("my vault", ".parquet");
    let lost = say(&format!("headwater store cat 'my vault' {SETTINGS}"), &[1]);
    assert!(
        lost.iter().any(|hint| hint.starts_with("headwater store repair 'my vault' --key-file")),
        "{lost:?}"
    );
    damage("the state/talk/commits", "");
    let verified = say(&format!("headwater state verify talk {SETTINGS}"), &[1]);
    assert!(verified.contains(&format!("headwater state repair talk {SETTINGS}")), "{verified:?}");
    let refused = say(&run, &[1]);
    assert!(
        refused.iter().any(|hint| hint.starts_with("headwater state repair talk --state")),
        "{refused:?}"
    );
    let repairs = hints.take();
    work(&site, &repairs.into_iter().filter(|hint| hint.contains(" repair ")).collect());
}

/// Runs commands as they were printed.
fn work(site: &Site, hints: &BTreeSet<String>) {
    let mut wrong = Vec::new();
    for hint in hints {
        // What only the reader knows: the name of a kind, a file to write.
        let command = hint.replace("KIND", "redact").replace("FILE", "key.txt");
        let done = shell(site, &command);
        let checks = command.contains(" check ")
            || command.contains(" run 'a new one")
            || command.contains(" repair ");
        if !(done.status.success() || checks && done.status.code() == Some(1)) {
            wrong.push(format!("$ {command}\n{}\n{}", done.status, said(&done)));
        }
        fs::remove_file(site.path("key.txt")).ok();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
