//! README's commands, run as they stand there, one after the other, in a folder with pipelines and data sets beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

/// What is done with a command of README.
enum How {
    /// It runs as it stands, and ends with this code.
    Ends(i32),
    /// So does this, over less input.
    Shorter(&'static str),
    /// Not here, since.
    Not(&'static str),
}

use How::{Ends, Not, Shorter};

const LOOP: &str = "headwater run pipelines/personalize.toml --workers 2 --param talk=talk.jsonl --set stage.gateway.keep_updates=true";
const FORGOTTEN: &str = "headwater forget pipelines/personalize.toml --device kitchen-01 --param talk=talk.jsonl --set stage.gateway.keep_updates=true";

/// Every command of README with more than a verb, in its order.
const COMMANDS: &[(&str, How)] = &[
    ("headwater new DIR", Ends(0)),
    ("headwater stages transcribe", Ends(0)),
    ("headwater check kitchen.toml", Ends(1)),
    ("headwater check FILE...", Not("it names the verb")),
    ("headwater plan pipelines/quickstart.toml", Ends(0)),
    ("headwater run pipelines/quickstart.toml", Ends(0)),
    ("headwater run pipelines/quickstart.toml --fresh --yes", Ends(0)),
    ("headwater quarantine ls quickstart", Ends(0)),
    ("headwater redact explain \"call me at five five five, oh one four seven, it is 450 dollars\"", Ends(0)),
    ("headwater store key data/vault --output read.py", Ends(0)),
    ("headwater key backup safe.txt", Ends(0)),
    ("headwater key rotate", Ends(0)),
    ("headwater store forget data/vault --device kitchen", Ends(0)),
    ("headwater forget pipelines/quickstart.toml --device clinic", Ends(0)),
    ("headwater store verify data/vault", Ends(0)),
    ("headwater run pipelines/personalize.toml --workers 2", Shorter(LOOP)),
    ("headwater adapter ls", Ends(0)),
    ("headwater adapter export --into my-adapter", Ends(0)),
    (
        "headwater forget pipelines/personalize.toml --device kitchen-01 --set stage.gateway.keep_updates=true",
        Shorter(FORGOTTEN),
    ),
    // One round was run: there is none to go back to.
    ("headwater adapter rollback", Ends(1)),
    ("headwater adapter own", Not("it names the verb")),
    ("headwater model get smollm2-135m", Not("it fetches 98 MB")),
    ("headwater run pipelines/personalize-135m.toml --workers 2", Not("its model is fetched")),
    ("headwater run pipelines/personalize.toml --record monday", Not("tests/replay.rs")),
    ("headwater replay pipelines/personalize.toml --from monday", Not("tests/replay.rs")),
    (
        "headwater replay pipelines/personalize.toml --from monday --set stage.small.ratio=0.01",
        Not("tests/replay.rs"),
    ),
    ("headwater test pipelines/quickstart.toml", Ends(0)),
    ("headwater tap quickstart redact", Not("tests/tap.rs")),
    ("headwater eval pipelines/quickstart.toml --dataset datasets/voice --out report", Not("tests/eval.rs")),
    (
        "headwater eval pipelines/personalize.toml --dataset datasets/personal --out report --workers 2",
        Not("tests/eval.rs"),
    ),
    (
        "headwater run pipelines/quickstart.toml --param recordings=recs --param state=mine --state mine/state",
        Ends(0),
    ),
];

/// The commands of README, without their comments: in blocks, and between backticks.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in page.split("```").enumerate() {
        if number % 2 == 1 {
            let lines = part.lines().map(|line| line.trim_start_matches("$ "));
            found.extend(lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()));
        } else {
            let part = part.replace('\n', " ");
            found.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found.retain(|command| command.starts_with("headwater ") && command.split(' ').count() > 2);
    found
}

fn run(site: &Site, command: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_headwater")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(site.path("")).env("PATH", path).env("HOME", site.path("home"));
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "HEADWATER_STATE", "HEADWATER_KEY_FILE"] {
        shell.env_remove(name);
    }
    shell.env("HEADWATER_RECORDINGS", site.path("voice")).output().unwrap()
}

/// A few recordings in the place of all, and the two files that README speaks of.
fn lay_out(site: &Site, page: &str) {
    for folder in ["pipelines", "datasets"] {
        symlink(Path::new(HOUSE).join(folder), site.path(folder)).unwrap();
    }
    let copy = |from: &str, to: &str| {
        fs::create_dir_all(site.path(to).parent().unwrap()).unwrap();
        fs::copy(Path::new(HOUSE).join("datasets/voice").join(from), site.path(to)).unwrap();
    };
    for (from, to) in [
        ("kitchen/001.flac", "voice/kitchen/001.flac"),
        ("clinic/001.flac", "voice/clinic/001.flac"),
        ("kitchen/002.flac", "recs/porch/002.flac"),
    ] {
        copy(from, to);
    }
    fs::write(site.path("recs/porch/notes.wav"), "no sound at all").unwrap();
    let kitchen = page.split("```toml\n").find(|block| block.contains("thraeds")).unwrap();
    fs::write(site.path("kitchen.toml"), kitchen.split("```").next().unwrap()).unwrap();
    let talk = fs::read_to_string(Path::new(HOUSE).join("datasets/personal/talk.jsonl")).unwrap();
    let round: Vec<&str> = talk.lines().take(481).collect();
    fs::write(site.path("talk.jsonl"), round.join("\n") + "\n").unwrap();
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let page = fs::read_to_string(Path::new(HOUSE).join("README.md")).unwrap();
    let mut named = commands(&page);
    let listed: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    named.retain(|command| !listed.contains(&command.as_str()));
    assert!(named.is_empty(), "README has commands that are not run here: {named:#?}");
    let gone: Vec<_> = listed.iter().filter(|command| !page.replace('\n', " ").contains(**command)).collect();
    assert!(gone.is_empty(), "README has no such commands any more: {gone:#?}");
    let site = Site::new();
    lay_out(&site, &page);
    let mut wrong = Vec::new();
    for (command, how) in COMMANDS {
        let (run_as, code) = match how {
            Ends(code) => (*command, *code),
            Shorter(run_as) => (*run_as, 0),
            Not(why) => {
                println!("not run, since {why}: {command}");
                continue;
            }
        };
        if !cfg!(feature = "train") && (run_as.contains("personalize") || run_as.contains("adapter")) {
            continue;
        }
        let ended = run(&site, run_as);
        if ended.status.code() != Some(code) {
            let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
            wrong.push(format!("$ {run_as}\n{}\n{}", ended.status, said.concat()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
