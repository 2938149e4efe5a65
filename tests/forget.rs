//! A device is forgotten. At rest: its updates leave every sum, its rows the state, and the adapter is another one, the same whatever
//! else was forgotten before; or all is trained from scratch without it. In a run: when it withdraws, nothing of it is left.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;
mod talk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use site::Site;
use talk::Conversation;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

struct Place {
    site: Site,
    devices: Vec<String>,
}

/// What of the pipeline differs.
#[derive(Clone, Copy, Default)]
struct Loop {
    /// True if updates of single devices are kept.
    keep: bool,
    /// True if the first device may take part.
    without_first: bool,
    /// True if the first device withdraws in the first round, and is forgotten for it.
    withdraws: bool,
}

impl Place {
    fn new(keep: bool) -> Place {
        Place::of(Loop { keep, ..Loop::default() })
    }

    /// A loop of three rounds over the talk of six devices.
    fn of(Loop { keep, without_first, withdraws }: Loop) -> Place {
        let site = Site::new();
        let talk = Conversation::of(6);
        let devices = talk.devices();
        std::fs::write(site.path("talk.jsonl"), talk.rounds(3, 6)).unwrap();
        let members =
            std::fs::read_to_string(Path::new(HOUSE).join("datasets/personal/members.csv")).unwrap();
        let withdrawn = |line: &str| match line.strip_suffix(",yes") {
            Some(line) if without_first && line.starts_with(&format!("{},", devices[0])) => {
                format!("{line},no\n")
            }
            _ => format!("{line}\n"),
        };
        let members: String = members.lines().map(withdrawn).collect();
        std::fs::write(site.path("members.csv"), members).unwrap();
        let wish = serde_json::json!({ "device": devices[0], "text": "please", "consent": "no" });
        std::fs::write(site.path("wishes.jsonl"), format!("{wish}\n")).unwrap();
        let wishes = if withdraws {
            "changes = 'wishes'\nforget = true\n\n[stage.wishes]\ntype = 'capture'\npath = 'WISHES'\ncolumns = ['consent']\n"
        } else {
            "\n"
        };
        let at = |name: &str| site.path(name).display().to_string();
        let text = format!(
            "[pipeline]\nname = 'loop'\nepoch = {{ rows = 12 }}\nround = {{ rows = 36 }}\n
             [members]\ntable = '{}'\n{}
             [stage.talk]\ntype = 'capture'\npath = '{}'\ncolumns = ['split']\n
             [stage.redact]\ntype = 'redact'\nfrom = 'talk'\nmax_hold = '0s'\n
             [stage.train]\ntype = 'train'\nfrom = 'redact'\nfeedback = 'global.adapter'\nmodel = 'datasets/models/slm-nano'\n\
             lr = 0.02\nr = 4\npersonal = true\npublish = '{}'\n
             [stage.small]\ntype = 'compress'\nfrom = 'train.update'\nratio = 0.2\n
             [stage.gateway]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\nkeep_updates = {keep}\n
             [stage.global]\ntype = 'aggregate'\nfrom = 'gateway'\nrule = 'momentum'\n
             [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
            at("members.csv"),
            wishes.replace("WISHES", &at("wishes.jsonl")),
            at("talk.jsonl"),
            at("adapters"),
            at("vault")
        );
        std::fs::write(site.path("loop.toml"), text).unwrap();
        Place { site, devices }
    }

    fn pipeline(&self) -> PathBuf {
        self.site.path("loop.toml")
    }

    fn headwater(&self, args: &[&str]) -> Output {
        self.site.command(args).output().unwrap()
    }

    fn run(&self) {
        let ended = self.headwater(&["run", &self.pipeline().display().to_string(), "--quiet"]);
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    fn forget(&self, device: &str, workers: &str) -> Output {
        let file = self.pipeline().display().to_string();
        self.headwater(&["adapter", "forget", &file, "--device", device, "--workers", workers])
    }

    /// How many rows of each device a store holds.
    fn stored(&self) -> BTreeMap<String, usize> {
        let vault = self.site.path("vault").display().to_string();
        let rows = self.headwater(&["store", "cat", &vault, "--format", "jsonl"]);
        assert!(rows.status.success(), "{}", text(&rows.stderr));
        let mut found = BTreeMap::new();
        for line in text(&rows.stdout).lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            *found.entry(row["device"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        found
    }

    /// The weights of every adapter that is published.
    fn adapters(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = std::fs::read_dir(self.site.path("adapters")).unwrap();
        let rounds =
            folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir() && !path.is_symlink());
        rounds
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read(path.join("adapter_model.safetensors")).unwrap())
            })
            .collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_device_is_forgotten_at_rest() {
    let place = Place::new(true);
    place.run();
    let before = place.adapters();
    let first = &place.devices[0];
    let done = place.forget(first, "2");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let receipt = text(&done.stdout);
    let said = |words: &str| assert!(receipt.contains(words), "{words}: {receipt}");
    said("updates      3 taken out at gateway");
    said("rows are gone, and the key");
    assert!(!receipt.contains("state        0 rows"), "{receipt}");
    let one = place.adapters();
    assert!(one != before && before.keys().all(|name| one.contains_key(name)), "the adapter is another one");
    assert!(text(&std::fs::read(place.site.path("state/audit.log")).unwrap()).contains("forget"));

    // It is gone: a second time nothing is left to take out, and nothing moves.
    let again = place.forget(first, "1");
    assert!(text(&again.stdout).contains("updates      0 taken out"), "{}", text(&again.stdout));
    assert_eq!(place.adapters(), one);

    // Two devices, in either order and on any number of workers: the same adapter in the end.
    let second = &place.devices[1];
    assert!(place.forget(second, "1").status.success());
    let other = Place::new(true);
    other.run();
    assert_eq!(other.adapters(), before, "the run itself is the same");
    assert!(other.forget(second, "3").status.success());
    assert!(other.forget(first, "1").status.success());
    assert_eq!(place.adapters().values().last(), other.adapters().values().last());
}

#[test]
fn a_device_is_forgotten_in_everything_that_is_kept() {
    let place = Place::new(true);
    place.run();
    let (file, first) = (place.pipeline().display().to_string(), place.devices[0].clone());
    let (adapters, mut stored) = (place.adapters(), place.stored());
    assert_eq!(stored.remove(&first), Some(18));
    // A second time nothing is left of it, which the exit code says too.
    let forget = |code: i32| {
        let done = place.headwater(&["forget", &file, "--device", &first]);
        assert_eq!(done.status.code(), Some(code), "{}", text(&done.stderr));
        text(&done.stdout)
    };
    let receipt = forget(0);
    assert!(receipt.contains("updates      3 taken out at gateway"), "{receipt}");
    assert!(receipt.contains("vault: 18 rows are unreadable for good"), "{receipt}");
    assert_eq!(place.stored(), stored, "those of others stay");
    assert!(place.adapters() != adapters);
    let after = place.adapters();
    let again = forget(1);
    assert!(again.contains("updates      0 taken out") && again.contains("vault: 0 rows"), "{again}");
    assert_eq!((place.stored(), place.adapters()), (stored, after));
}

#[test]
fn a_device_is_forgotten_where_nothing_learns() {
    let place = Place::new(false);
    let file = place.site.path("kept.toml");
    let at = |name: &str| place.site.path(name).display().to_string();
    let pipeline = format!(
        "[pipeline]\nname = 'kept'\nrecord = true\n[stage.talk]\ntype = 'capture'\npath = '{}'\n\
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n[stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
        at("talk.jsonl"),
        at("vault")
    );
    std::fs::write(&file, pipeline).unwrap();
    let file = file.display().to_string();
    let forget = |device: &str, code: i32| {
        let done = place.headwater(&["forget", &file, "--device", device]);
        assert_eq!(done.status.code(), Some(code), "{}", text(&done.stderr));
        text(&done.stdout)
    };
    let never = place.headwater(&["forget", &file, "--device", "anybody"]);
    assert!(
        !never.status.success() && text(&never.stderr).contains("there is no root key"),
        "{}",
        text(&never.stderr)
    );
    assert!(place.headwater(&["run", &file, "--quiet"]).status.success());
    let stranger = forget("anybody", 1);
    assert!(stranger.contains("vault: 0 rows") && stranger.contains("it has no rows there"), "{stranger}");
    let receipt = forget(&place.devices[0], 0);
    assert!(
        receipt.contains("vault: 18 rows") && receipt.contains("000001: its rows are unreadable"),
        "{receipt}"
    );
    assert_eq!(place.stored().keys().collect::<Vec<_>>(), place.devices[1..].iter().collect::<Vec<_>>());
    let shown = place.headwater(&["recording", "show", &at("state/kept/recordings/000001")]);
    assert!(text(&shown.stdout).contains("devices whose key is gone"), "{}", text(&shown.stderr));
}

#[test]
fn what_cannot_be_forgotten_is_told() {
    let place = Place::new(false);
    let printed = place.forget("anybody", "1");
    assert!(
        text(&printed.stderr).contains("nothing is kept of the pipeline `loop`"),
        "{}",
        text(&printed.stderr)
    );
    place.run();
    let printed = place.forget(&place.devices[0], "1");
    assert!(
        !printed.status.success() && text(&printed.stderr).contains("keep_updates"),
        "{}",
        text(&printed.stderr)
    );
}

#[test]
fn what_never_ends_is_not_learnt_from_anew() {
    let place = Place::new(false);
    let file = place.site.path("endless.toml");
    let folder = place.site.path("");
    let folder = folder.display();
    for source in ["path = '-'".to_owned(), format!("path = '{folder}'\nwatch = true")] {
        let pipeline = format!(
            "[pipeline]\nname = 'endless'\n[stage.talk]\ntype = 'capture'\n{source}\n\
             [stage.vault]\ntype = 'store'\nfrom = 'talk'\npath = '{folder}/vault'\n"
        );
        std::fs::write(&file, pipeline).unwrap();
        let file = file.display().to_string();
        let printed = place.headwater(&["adapter", "forget", &file, "--device", "anybody", "--retrain"]);
        let printed = text(&printed.stderr);
        assert!(printed.contains("the input of `talk` has no end"), "{source}: {printed}");
    }
}

#[test]
fn all_is_learnt_anew_without_a_device() {
    let place = Place::new(false);
    place.run();
    let (file, first) = (place.pipeline().display().to_string(), place.devices[0].clone());
    let own = |place: &Place| {
        let listed = place.headwater(&["adapter", "own", "loop"]);
        text(&listed.stdout)
    };
    let before = place.adapters();
    assert!(own(&place).contains(&first), "{}", own(&place));
    let done =
        place.headwater(&["adapter", "forget", &file, "--device", &first, "--retrain", "--workers", "2"]);
    let receipt = text(&done.stdout);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(receipt.contains("3 rounds, without 18 rows of it"), "{receipt}");
    let never = Place::of(Loop { without_first: true, ..Loop::default() });
    never.run();
    assert!(place.adapters() == never.adapters() && place.adapters() != before);
    assert!(!own(&place).contains(&first), "{}", own(&place));
    let shown = text(&place.headwater(&["state", "show", "loop"]).stdout);
    assert!(shown.contains("of 5 devices"), "{shown}");
    // Nothing is new for the next run, and the device is heard again.
    place.run();
    assert!(place.adapters() == never.adapters());
}

#[test]
fn a_device_that_withdraws_is_forgotten_in_the_run() {
    let place = Place::of(Loop { keep: true, withdraws: true, ..Loop::default() });
    place.run();
    let never = Place::of(Loop { keep: true, withdraws: true, without_first: true });
    never.run();
    assert!(place.adapters() == never.adapters(), "it withdrew before its first round began");
    let shown = text(&place.headwater(&["state", "show", "loop"]).stdout);
    assert!(shown.contains("of 5 devices") && !shown.contains("of 6 devices"), "{shown}");
    let written =
        |place: &Place| text(&std::fs::read(place.site.path("state/audit.log")).unwrap_or_default());
    assert!(written(&place).contains("consent withdrawn"), "{}", written(&place));
}
