//! Rules about what stands in the files. In: texts by path. Out: lines and files that break a rule.

use crate::house::House;
use crate::{Breach, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "timely in its room",
        reason: "only engine/runtime/dataflow, membership, cluster and exchange.rs name timely, so that everything else can be read, and tested, \
                 without knowing how progress is tracked",
        breaches: timely,
    },
    Rule {
        name: "tract in its room",
        reason: "only stages/transcribe and stages/redact/ner name tract, so that another way to run a model is a change of one place",
        breaches: tract,
    },
    Rule {
        name: "the disk in its room",
        reason: "in engine/vault only disk.rs touches the file system, so that a disk that loses and tears can be put under all the \
                 rest",
        breaches: disk,
    },
    Rule {
        name: "rustls in its room",
        reason: "only engine/runtime/cluster names rustls and rcgen: whoever runs a dataflow must not know how its connections are sealed",
        breaches: rustls,
    },
    Rule {
        name: "stages apart",
        reason: "a stage that knows another cannot be used without it; what two stages share belongs to the contract, the \
                 vault or the datasets, and errors of the vault to one file",
        breaches: stages_apart,
    },
    Rule {
        name: "a file says what it is",
        reason: "whoever opens a file must see in its first lines what it is about, and in those of a crate or a stage what \
                 flows in, what flows out and what it must not know",
        breaches: first_lines,
    },
    Rule {
        name: "a file is read in one sitting",
        reason: "what is longer than the limit is two things",
        breaches: length,
    },
    Rule {
        name: "names that say something",
        reason: "a module called utils, helpers, common or manager says nothing of what is in it, and so everything ends there",
        breaches: names,
    },
    Rule {
        name: "files know no machine",
        reason: "a path or a server of one machine is a secret of that machine, and does not exist on the next one",
        breaches: machines,
    },
    Rule {
        name: "links lead somewhere",
        reason: "a page that points at a file which is gone is worse than one that points nowhere",
        breaches: links,
    },
];

/// No file is longer than this many lines.
const LINES: usize = 500;

/// Module names that say nothing.
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"];

/// What no tracked file holds. In halves, or this file would hold them too.
const MACHINE_WORDS: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
];

/// Files that cargo writes and that name the registry.
const NAMED_BY_CARGO: [&str; 2] = ["Cargo.lock", "training/Cargo.lock"];

/// Sources that are compiled into no crate.
fn is_test(path: &str) -> bool {
    let beside = path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz"));
    beside || path.ends_with("/tests.rs")
}

fn crate_sources(house: &House) -> impl Iterator<Item = (&str, &str)> {
    house.sources().filter(|(path, _)| !is_test(path))
}

fn timely(house: &House) -> Vec<Breach> {
    let allowed = |path: &str| {
        ["dataflow", "membership", "cluster", "exchange.rs"]
            .iter()
            .any(|room| path.starts_with(&format!("engine/runtime/{room}")))
    };
    named(house, allowed, |word| word == "timely" || word == "differential_dataflow")
}

fn tract(house: &House) -> Vec<Breach> {
    let rooms = ["stages/transcribe/", "stages/transcribe.rs", "stages/redact/ner/"];
    let allowed = |path: &str| rooms.iter().any(|room| path.starts_with(room));
    named(house, allowed, |word| word == "tract_onnx" || word.starts_with("tract_"))
}

fn disk(house: &House) -> Vec<Breach> {
    let allowed = |path: &str| {
        !path.starts_with("engine/vault/")
            || path.starts_with("engine/vault/disk/")
            || path.ends_with("/disk.rs")
    };
    named(house, allowed, |word| word == "fs")
}

fn rustls(house: &House) -> Vec<Breach> {
    let allowed = |path: &str| path.starts_with("engine/runtime/cluster/");
    named(house, allowed, |word| word == "rustls" || word == "rcgen")
}

/// Places outside of `allowed` where a crate is named in the code.
fn named(house: &House, allowed: impl Fn(&str) -> bool, is_crate: impl Fn(&str) -> bool) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in crate_sources(house).filter(|(path, _)| !allowed(path)) {
        for (line, code) in code_lines(text) {
            if let Some(word) = words(&code).find(|word| is_crate(word)) {
                breaches.push(Breach::new(format!("{path}:{line}"), format!("names {word}")));
            }
        }
    }
    breaches
}

fn stages_apart(house: &House) -> Vec<Breach> {
    let stage_of = |path: &str| {
        let first = path.strip_prefix("stages/")?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first).to_owned())
    };
    let inside = |path: &str| {
        path.starts_with("stages/") && !["stages/lib.rs", "stages/vault_error.rs"].contains(&path)
    };
    let sources: Vec<_> = crate_sources(house).filter(|(path, _)| inside(path)).collect();
    let stages: Vec<String> = sources.iter().filter_map(|(path, _)| stage_of(path)).collect();
    let mut breaches = Vec::new();
    for (path, text) in sources {
        let own = stage_of(path).unwrap_or_default();
        for (line, code) in code_lines(text) {
            let met = from_crate(&code).into_iter().find(|module| *module != own && stages.contains(module));
            breaches.extend(
                met.map(|module| Breach::new(format!("{path}:{line}"), format!("names the stage {module}"))),
            );
        }
    }
    breaches
}

/// The modules named right after `crate::`, also in braces.
fn from_crate(code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        let list = rest.strip_prefix('{').map_or_else(|| vec![rest], |braced| braced.split(',').collect());
        modules.extend(list.iter().filter_map(|item| words(item).next()).map(str::to_owned));
    }
    modules
}

fn first_lines(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in crate_sources(house) {
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            breaches.push(Breach::new(path, "does not begin with `//!`"));
            continue;
        }
        if !is_front(path) {
            continue;
        }
        let front =
            text.lines().take_while(|line| line.starts_with("//!")).collect::<String>().to_lowercase();
        for (asked, any) in [
            ("what flows in", &["in"][..]),
            ("what flows out", &["out"]),
            ("what it must not know", &["not", "no", "none", "nothing", "never"]),
        ] {
            if !words(&front).any(|word| any.contains(&word)) {
                breaches.push(Breach::new(path, format!("its first lines do not say {asked}")));
            }
        }
    }
    breaches
}

/// Roots of crates, and stages.
fn is_front(path: &str) -> bool {
    let stage = path.strip_prefix("stages/").is_some_and(|rest| !rest.contains('/'));
    let library = path.ends_with("/lib.rs") && path != "engine/cli/lib.rs";
    let plugin = path.starts_with("plugins/") && path.ends_with("/main.rs");
    stage || library || plugin
}

fn length(house: &House) -> Vec<Breach> {
    house
        .sources()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(path, lines)| Breach::new(path, format!("has {lines} lines; at most {LINES}")))
        .collect()
}

fn names(house: &House) -> Vec<Breach> {
    let empty = |path: &str| {
        path.trim_end_matches(".rs").split('/').find(|part| EMPTY_NAMES.contains(part)).map(str::to_owned)
    };
    house
        .sources()
        .filter_map(|(path, _)| Some(Breach::new(path, format!("`{}` says nothing", empty(path)?))))
        .collect()
}

fn machines(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| !NAMED_BY_CARGO.contains(&path.as_str())) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = MACHINE_WORDS.iter().find(|word| line.contains(*word)) {
                breaches.push(Breach::new(format!("{path}:{}", number + 1), format!("holds `{word}`")));
            }
        }
    }
    breaches
}

fn links(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, line) in text.lines().enumerate() {
            for target in targets(line).into_iter().filter(|target| !exists(house, folder, target)) {
                breaches.push(Breach::new(
                    format!("{path}:{}", number + 1),
                    format!("points at `{target}`, which is not there"),
                ));
            }
        }
    }
    breaches
}

/// Relative targets of `[text](target)` in a line.
fn targets(line: &str) -> Vec<&str> {
    let bounded = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next());
    bounded
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .collect()
}

fn exists(house: &House, folder: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    house.files.contains_key(&path) || house.files.keys().any(|file| file.starts_with(&format!("{path}/")))
}

/// Numbered lines without comments and string literals. Block comments and raw strings are not known to it: the sources
/// have none of the first, and no crate's name in the second.
pub fn code_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().map(|(number, line)| (number + 1, code_of(line)))
}

fn code_of(line: &str) -> String {
    let mut code = String::new();
    let (mut quoted, mut escaped, mut slash) = (false, false, false);
    for c in line.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        if slash && c == '/' {
            break;
        }
        slash = c == '/';
        quoted = c == '"';
        code.push(c);
    }
    code
}

/// The identifiers and words of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}
