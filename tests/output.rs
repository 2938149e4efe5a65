//! A standard output that fails: a reader that goes away ends every verb quietly, a full disk is said, and no verb panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use site::Site;

/// Every verb, with arguments by which it prints something where that takes no more than a moment. `{}` is the site's folder.
const VERBS: &[(&str, &str)] = &[
    ("run", "{}/talk.toml --fresh --yes"),
    ("replay", "{}/talk.toml --from {}/recorded"),
    ("test", "pipelines/redact.toml"),
    ("tap", "talk redact"),
    ("recording show", "{}/recorded"),
    ("recording verify", "{}/recorded"),
    ("recording forget", "{}/recorded --device stranger"),
    ("check", "{}/talk.toml"),
    ("explain", ""),
    ("plan", "{}/talk.toml"),
    ("graph", "{}/talk.toml"),
    ("stages", ""),
    ("new", "{}/new-{n}"),
    ("schema", ""),
    ("redact scan", ""),
    ("redact explain", "call-me"),
    ("redact reveal", ""),
    ("redact kinds", ""),
    ("store ls", "{}/vault"),
    ("store cat", "{}/vault"),
    ("store verify", "{}/vault"),
    ("store export", "{}/vault --output {}/rows-{n}.jsonl"),
    ("store key", "{}/vault"),
    ("store repair", "{}/vault"),
    ("store forget", "{}/vault --device device-{n}"),
    ("store compact", "{}/vault"),
    ("store stat", "{}/vault"),
    ("store digest", "{}/vault"),
    ("key show", ""),
    ("key backup", "-"),
    ("key restore", "{}/backup.txt"),
    ("key rotate", "talk"),
    ("model ls", ""),
    ("model get", "no-such-model"),
    ("model check", "datasets/models/slm-nano"),
    ("adapter ls", "--at {}"),
    ("adapter show", "latest --at {}"),
    ("adapter export", "latest --at {} --into {}/adapter"),
    ("adapter import", "{}/none --model datasets/models/slm-nano --at {}"),
    ("adapter own", "talk --stage train"),
    ("adapter rollback", "--at {}"),
    ("adapter forget", "{}/talk.toml --device device-9"),
    ("forget", "{}/talk.toml --device device-8"),
    ("state show", "talk"),
    ("state verify", "talk"),
    ("state repair", "talk"),
    ("state reset", "talk"),
    ("quarantine ls", "talk"),
    ("quarantine show", "talk"),
    ("quarantine retry", "{}/talk.toml --stage redact"),
    ("eval", "{}/talk.toml --dataset {}/good.jsonl --out {}/report-{n}"),
    ("dataset new", "{}"),
    ("dataset check", "datasets/personal"),
    ("dataset ls", "datasets/personal"),
    ("dataset show", "datasets/personal no-such-row"),
    ("dataset split", "datasets/personal --part a=0.5"),
    ("dataset stats", "datasets/personal"),
    ("cluster certs", "{}/hosts.toml"),
    ("cluster check", "{}/hosts.toml"),
    ("config", ""),
    ("completions", "bash"),
];

impl Site {
    fn with_talk() -> Self {
        let site = Site::new();
        let line = |n: usize| format!("{{\"device\": \"device-{}\", \"text\": \"order {n}\"}}\n", n % 10);
        let talk: String = (0..100).map(line).collect();
        std::fs::write(site.path("good.jsonl"), &talk).unwrap();
        std::fs::write(site.path("talk.jsonl"), talk + "not JSON\n").unwrap();
        let text = format!(
            "[pipeline]\nname = 'talk'\n[stage.talk]\ntype = 'capture'\npath = '{0}/talk.jsonl'\n\
             [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n\
             [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{0}/vault'\n",
            site.path("").display()
        );
        std::fs::write(site.path("talk.toml"), text).unwrap();
        for args in ["run {}/talk.toml --quiet --record {}/recorded", "key backup {}/backup.txt"] {
            let done = site.verb(args, 0).output().unwrap();
            assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
        }
        site
    }

    fn verb(&self, line: &str, n: usize) -> Command {
        let line = line.replace("{}", self.path("").to_str().unwrap().trim_end_matches('/'));
        let line = line.replace("{n}", &n.to_string());
        self.command(&line.split_whitespace().collect::<Vec<_>>())
    }
}

/// Every verb that the program has, those below others too: what its completions for a shell name.
fn verbs() -> BTreeSet<String> {
    let script = Site::new().verb("completions bash", 0).output().unwrap().stdout;
    let script = String::from_utf8(script).unwrap();
    // Lines such as `headwater__subcmd__store,rotate-key)`.
    let places = script.lines().filter_map(|line| line.trim().strip_suffix(')')?.split_once(','));
    let named = places.filter_map(|(above, verb)| {
        let above = above.strip_prefix("headwater")?.replace("__subcmd__", "");
        Some(format!("{above} {verb}").trim().to_owned())
    });
    let named: BTreeSet<String> = named.filter(|verb| !verb.contains("help")).collect();
    // One that has others below it does nothing by itself.
    let above = |verb: &String| named.iter().any(|other| other.starts_with(&format!("{verb} ")));
    named.iter().filter(|verb| !above(verb)).cloned().collect()
}

#[test]
fn every_verb_is_here() {
    let here: BTreeSet<String> = VERBS.iter().map(|(verb, _)| (*verb).to_owned()).collect();
    assert_eq!(verbs(), here);
}

#[test]
fn no_verb_minds_a_reader_that_went_away() {
    let site = Site::with_talk();
    for (verb, args) in VERBS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = site.verb(&format!("{verb} {args}"), 1).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        let code = done.status.code();
        assert!(matches!(code, Some(0..=4)), "{verb}: {code:?}\n{said}");
        assert!(
            !said.contains("panicked") && !said.to_lowercase().contains("pipe)"),
            "{verb}: {code:?}\n{said}"
        );
        assert!(!said.to_lowercase().contains("broken pipe"), "{verb}: {code:?}\n{said}");
    }
    // What prints much, to a reader that goes away in the middle.
    for verb in
        ["redact kinds", "schema", "dataset split datasets/personal --part a=0.5", "store cat {}/vault"]
    {
        let mut run = site.verb(verb, 1).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(&mut run.stdout.take().unwrap(), &mut [0; 10]).unwrap();
        let done = run.wait_with_output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{verb}: {done:?}");
    }
}

#[test]
fn a_full_disk_behind_the_output_is_said_once() {
    let site = Site::with_talk();
    let mut said_so = Vec::new();
    for (verb, args) in VERBS {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = site.verb(&format!("{verb} {args}"), 2).stdout(full()).output().unwrap();
        let (code, said) = (done.status.code(), String::from_utf8_lossy(&done.stderr));
        assert!(!said.contains("panicked") && matches!(code, Some(0..=4)), "{verb}: {code:?}\n{said}");
        match said.matches("No space left on device").count() {
            0 => {}
            times => {
                assert_eq!((code, times), (Some(1), 1), "{verb}: {said}");
                said_so.push(*verb);
            }
        }
    }
    for verb in [
        "run",
        "replay",
        "check",
        "plan",
        "store cat",
        "store ls",
        "forget",
        "state show",
        "config",
        "schema",
        "key show",
    ] {
        assert!(said_so.contains(&verb), "{verb} said nothing: {said_so:?}");
    }
}

/// Where nothing can be said, nothing falls for it.
#[test]
fn a_full_disk_behind_both_outputs_ends_no_run() {
    let site = Site::with_talk();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for line in
        ["run {}/talk.toml --fresh --yes", "run {}/none.toml", "check {}/none.toml", "store cat {}/vault"]
    {
        for level in ["warn", "debug"] {
            let line = format!("{line} --log-level {level}");
            let ended = site.verb(&line, 1).stdout(full()).stderr(full()).status().unwrap();
            assert!(matches!(ended.code(), Some(1..=2)), "{line}: {ended}");
        }
    }
    let stat = site.verb("store stat {}/vault", 0).output().unwrap();
    assert!(
        String::from_utf8(stat.stdout).unwrap().starts_with("rows      100\n"),
        "the run had done its work"
    );
}

/// A replay and a second try have no later attempt that could go on: they end as any other run that failed.
#[test]
fn what_cannot_go_on_ends_with_a_code_of_the_list() {
    let site = Site::with_talk();
    let summary = site.path("nowhere/summary.json");
    let done =
        site.verb("replay {}/talk.toml --from {}/recorded --summary", 1).arg(summary).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let list = site.verb("help", 0).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("Exit codes:") && list.contains("\n  130  "), "{list}");
}
