//! Input that is rejected: all of it makes a run fail, much of it fills no log, and no name of it moves a terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::process::Output;

use site::Site;

impl Site {
    /// Runs text lines through a pipeline of capture, redact and store.
    fn run(&self, lines: &str, more: &[&str]) -> (i32, String) {
        std::fs::write(self.path("talk.jsonl"), lines).unwrap();
        let text = format!(
            "[pipeline]\nname = 'talk'\nepoch = {{ rows = 500 }}\n[stage.talk]\ntype = 'capture'\npath = '{0}/talk.jsonl'\n\
             [stage.vault]\ntype = 'store'\nfrom = 'talk'\npath = '{0}/vault'\n",
            self.path("").display()
        );
        std::fs::write(self.path("talk.toml"), text).unwrap();
        let ended =
            self.command(&["run", "--quiet"]).arg(self.path("talk.toml")).args(more).output().unwrap();
        (ended.status.code().unwrap(), said(&ended))
    }
}

fn said(ended: &Output) -> String {
    [&ended.stderr, &ended.stdout].map(|printed| String::from_utf8_lossy(printed).into_owned()).concat()
}

#[test]
fn a_run_that_could_read_nothing_fails() {
    let check = |lines: &str, code: i32, last: &str| {
        let site = Site::new();
        let (ended, said) = site.run(lines, &[]);
        assert!(
            ended == code && said.lines().last().unwrap_or_default().contains(last),
            "{lines:?}: {ended} {said}"
        );
    };
    check("", 0, "");
    check("{\"text\": \"hello\"}\n", 0, "");
    check("{\"text\": \"hello\"}\nno JSON\n", 0, "rejected");
    check("no JSON\n", 1, "error: every input was rejected, 1 of 1: headwater quarantine ls talk");
    check("no JSON\n[]\n", 1, "error: every input was rejected, 2 of 2: headwater quarantine ls talk");
}

/// A recording in which no one speaks gives no row, and was read: with it, a rejected one does not make the run fail.
#[test]
fn a_silent_recording_was_read() {
    let site = Site::new();
    std::fs::create_dir(site.path("recordings")).unwrap();
    std::fs::write(site.path("recordings/empty.wav"), "").unwrap();
    let seconds = |count: usize| {
        let data = u32::try_from(count * 32_000).unwrap();
        let mut wav = [b"RIFF", &(data + 36).to_le_bytes()[..], b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
        wav.extend([1_u16, 1].into_iter().flat_map(u16::to_le_bytes));
        wav.extend([16_000_u32, 32_000].into_iter().flat_map(u32::to_le_bytes));
        wav.extend([2_u16, 16].into_iter().flat_map(u16::to_le_bytes));
        wav.extend([&b"data"[..], &data.to_le_bytes(), &vec![0; count * 32_000]].concat());
        wav
    };
    let text = format!(
        "[pipeline]\nname = 'night'\nepoch = {{ rows = 8 }}\n[stage.mic]\ntype = 'capture'\npath = '{0}/recordings'\n\
         [stage.vault]\ntype = 'store'\nfrom = 'mic'\npath = '{0}/vault'\n",
        site.path("").display()
    );
    std::fs::write(site.path("night.toml"), text).unwrap();
    let run = || {
        site.command(&["run", "--quiet", "--fresh", "--yes"]).arg(site.path("night.toml")).output().unwrap()
    };
    let ended = run();
    assert!(
        ended.status.code() == Some(1) && said(&ended).contains("every input was rejected, 1 of 1"),
        "{}",
        said(&ended)
    );
    std::fs::write(site.path("recordings/silent.wav"), seconds(1)).unwrap();
    let ended = run();
    assert!(ended.status.success(), "{}", said(&ended));
}

/// A damaged quarantine is found by `state verify`, and moved aside by the command that the error names; then the pipeline runs.
#[test]
fn a_damaged_quarantine_is_repaired() {
    let site = Site::new();
    let (code, text) = site.run("{\"text\": \"hello\"}\n[1]\n[2]\n", &[]);
    assert_eq!(code, 0, "{text}");
    let frames = site.path("state/talk/quarantine/00000001.frames");
    let mut bytes = std::fs::read(&frames).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&frames, bytes).unwrap();
    let verb = |args: &[&str]| {
        let ended = site.command(args).output().unwrap();
        (ended.status.code().unwrap(), said(&ended))
    };
    let check = |(code, text): (i32, String), expected: i32, part: &str| {
        assert!(code == expected && text.contains(part), "{code} {text}");
    };
    let lines = "{\"text\": \"hello\"}\n[1]\n[2]\n[3]\n{\"text\": \"bye\"}\n";
    check(site.run(lines, &[]), 1, "headwater state repair talk");
    check(verb(&["state", "verify", "talk"]), 1, "DAMAGED");
    check(verb(&["state", "repair", "talk"]), 1, "add --yes");
    check(verb(&["state", "repair", "talk", "--yes"]), 0, "moved");
    check(verb(&["state", "verify", "talk"]), 0, "whole");
    check(site.run(lines, &[]), 0, "");
    check(verb(&["quarantine", "ls", "talk"]), 0, "1  talk");
}

#[test]
fn many_equal_warnings_are_counted() {
    let site = Site::new();
    let (code, said) = site.run(&"no JSON\n".repeat(20_000), &[]);
    assert_eq!(code, 1);
    let lines = said.lines().filter(|line| line.contains(" rejected")).count();
    // Five whole, and a count: more than one where the run takes longer than the pause between two.
    assert!((6..20).contains(&lines), "{lines} lines: {}", &said[..said.len().min(2000)]);
    let counted =
        |line: &str| line.split_once("rejected: ")?.1.split_once(" more times")?.0.parse::<u64>().ok();
    assert_eq!(said.lines().filter_map(counted).sum::<u64>(), 19_995, "{said}");
    let site = Site::new();
    let (_, said) = site.run(&"no JSON\n".repeat(100), &["--log", "json"]);
    let lines: Vec<serde_json::Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let count = lines.iter().find(|line| line["fields"]["message"] == "rejected: 95 more times").unwrap();
    assert!(count["fields"]["stage"] == "talk" && count["fields"]["code"].is_string(), "{count}");
}

#[test]
fn no_name_moves_a_terminal() {
    let site = Site::new();
    let name = "\\u001b[2Jden\\nERROR \\u202e";
    let lines: String = [
        format!("{{\"device\": \"{name}\", \"text\": \"hello\"}}\n"),
        format!("{{\"device\": \"{name}\", \"text\": 7}}\n"),
    ]
    .concat();
    let (code, mut printed) = site.run(&lines, &[]);
    assert_eq!(code, 0, "{printed}");
    let vault = site.path("vault").display().to_string();
    let file = site.path("talk.toml").display().to_string();
    let device = "\u{1b}[2Jden\nERROR \u{202e}";
    for verb in [
        &["store", "ls", &vault][..],
        &["store", "cat", &vault],
        &["state", "show", "talk"],
        &["quarantine", "show", "talk"],
        &["store", "forget", &vault, "--device", device],
        &["forget", &file, "--device", device],
        &["store", "ls", &vault],
    ] {
        printed += &said(&site.command(verb).output().unwrap());
    }
    assert!(printed.contains("den"), "{printed}");
    let moves = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!printed.contains(moves) && !printed.contains("\nERROR"), "{printed:?}");
}
