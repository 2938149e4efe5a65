//! A small tidy house, and one broken sample for every way to break a rule. In: nothing. Out: houses for the rules.

use crate::house::{Dependency, House, Package};

/// A tidy house with one file changed or one dependency added.
pub struct Broken {
    /// The rule that must find it.
    pub rule: &'static str,
    /// Where.
    pub place: &'static str,
    /// In what words.
    pub what: &'static str,
    change: Change,
}

enum Change {
    File(&'static str, &'static str),
    LongFile(&'static str),
    Depends(&'static str, &'static str),
    Package(&'static str),
}

use Change::{Depends, File, LongFile, Package as NewPackage};

const fn broken(rule: &'static str, place: &'static str, what: &'static str, change: Change) -> Broken {
    Broken { rule, place, what, change }
}

/// What each rule must find.
pub const BROKEN: &[Broken] = &[
    broken(
        "identifiers in the field's words",
        "engine/contract/stage.rs:2",
        "`Misfit`",
        File("engine/contract/stage.rs", "//! Stages.\nstruct Misfit;\n"),
    ),
    broken(
        "phrases in plain words",
        "docs/keys.md:1",
        "`learnt`",
        File("docs/keys.md", "What was learnt.\n"),
    ),
    broken(
        "floors",
        "headwater-runtime",
        "headwater-stages",
        Depends("headwater-runtime", "headwater-stages"),
    ),
    broken(
        "floors",
        "headwater-vault",
        "headwater-contract",
        Depends("headwater-vault", "headwater-contract"),
    ),
    broken("floors", "alarm", "headwater-vault", Depends("alarm", "headwater-vault")),
    broken("floors", "headwater-new", "without a floor", NewPackage("headwater-new")),
    broken(
        "foreign crates in their rooms",
        "headwater-stages",
        "timely",
        Depends("headwater-stages", "timely"),
    ),
    broken(
        "foreign crates in their rooms",
        "headwater-runtime",
        "tract-onnx",
        Depends("headwater-runtime", "tract-onnx"),
    ),
    broken(
        "one version for the house",
        "stages/Cargo.toml",
        "`regex` has a version of its own",
        File(
            "stages/Cargo.toml",
            "[dependencies]\nregex = \"1\"\ncpal = { version = \"1\", optional = true }\n",
        ),
    ),
    broken(
        "every dependency has its reason",
        "ARCHITECTURE.md",
        "`regex`",
        File("ARCHITECTURE.md", "Nothing of dependencies.\n"),
    ),
    broken(
        "no idle dependency",
        "Cargo.toml",
        "no crate asks for `idle`",
        File("Cargo.toml", "[workspace.dependencies]\nidle = \"1\"\n"),
    ),
    broken(
        "no idle dependency",
        "headwater-runtime",
        "no source names `strsim`",
        Depends("headwater-runtime", "strsim"),
    ),
    broken(
        "timely in its room",
        "engine/runtime/plan.rs:2",
        "names timely",
        File("engine/runtime/plan.rs", "//! Plans.\nuse timely::dataflow::Scope;\n"),
    ),
    broken(
        "timely in its room",
        "stages/redact.rs:3",
        "names timely",
        File(
            "stages/redact.rs",
            "//! Texts in, redacted texts out. Not more.\n\nlet s = \"a // b\"; timely::execute();\n",
        ),
    ),
    broken(
        "tract in its room",
        "stages/redact.rs:2",
        "names tract_onnx",
        File(
            "stages/redact.rs",
            "//! Texts in, redacted texts out. Not more.\nuse tract_onnx::prelude::*;\n",
        ),
    ),
    broken(
        "the disk in its room",
        "engine/vault/store.rs:2",
        "fs",
        File("engine/vault/store.rs", "//! A store.\nuse std::fs::File;\n"),
    ),
    broken(
        "rustls in its room",
        "engine/runtime/cluster.rs:2",
        "names rustls",
        File("engine/runtime/cluster.rs", "//! Processes.\nuse rustls::ClientConfig;\n"),
    ),
    broken(
        "stages apart",
        "stages/redact/number.rs:2",
        "names the stage transcribe",
        File("stages/redact/number.rs", "//! Numbers.\nuse crate::{redact::kind, transcribe};\n"),
    ),
    broken(
        "stages apart",
        "stages/redact.rs:2",
        "names the stage transcribe",
        File(
            "stages/redact.rs",
            "//! Texts in, redacted texts out. Not more.\nuse crate::transcribe::Text;\n",
        ),
    ),
    broken(
        "a file says what it is",
        "engine/runtime/run.rs",
        "begin",
        File("engine/runtime/run.rs", "use std::fmt;\n"),
    ),
    broken(
        "a file says what it is",
        "stages/redact.rs",
        "must not know",
        File("stages/redact.rs", "//! Texts in, redacted texts out.\n"),
    ),
    broken(
        "a file is read in one sitting",
        "engine/runtime/long.rs",
        "501 lines",
        LongFile("engine/runtime/long.rs"),
    ),
    broken(
        "names that say something",
        "stages/redact/utils.rs",
        "`utils`",
        File("stages/redact/utils.rs", "//! Things.\n"),
    ),
    broken(
        "names that say something",
        "engine/common/x.rs",
        "`common`",
        File("engine/common/x.rs", "//! Things.\n"),
    ),
    broken(
        "files know no machine",
        "README.md:2",
        "holds",
        File("README.md", concat!("# Title\nIt lies in /wo", "rk/x.\n")),
    ),
    broken(
        "links lead somewhere",
        "docs/README.md:1",
        "`../gone.md`",
        File("docs/README.md", "[here](../README.md) [gone](../gone.md#part) [far](https://example.com/x)\n"),
    ),
];

impl Broken {
    /// The house that this sample breaks.
    pub fn house(&self) -> House {
        let mut house = tidy();
        match self.change {
            File(path, text) => {
                house.files.insert(path.to_owned(), text.to_owned());
            }
            LongFile(path) => {
                house.files.insert(path.to_owned(), "//! Long.\n".repeat(501));
            }
            Depends(package, on) => {
                let package = house.packages.iter_mut().find(|p| p.name == package).unwrap();
                package.dependencies.push(Dependency { name: on.to_owned(), dev: false });
            }
            NewPackage(name) => house.packages.push(package(name, "engine/new", &[])),
        }
        house
    }
}

/// A house in which every rule is kept, also where a rule could be too strict.
pub fn tidy() -> House {
    let files = [
        (
            "Cargo.toml",
            "[workspace.dependencies]\nregex = \"1\"\nheadwater-vault = { path = \"engine/vault\" }\n",
        ),
        (
            "stages/Cargo.toml",
            "[dependencies]\nregex.workspace = true\ncpal = { version = \"1\", optional = true }\n",
        ),
        ("ARCHITECTURE.md", "- `regex`: to look for patterns\n"),
        ("README.md", "# Title\n"),
        ("docs/README.md", "[here](../README.md) [there](../stages) [far](https://example.com/x)\n"),
        (
            "engine/runtime/dataflow.rs",
            "//! The dataflow.\nuse headwater_contract::Stage;\nuse timely::dataflow::Scope;\n",
        ),
        (
            "engine/runtime/run.rs",
            "//! A run. It must not know timely.\nlet what = \"timely\"; // not timely\n",
        ),
        ("engine/runtime/tests/engine.rs", "use timely::dataflow::Scope;\n"),
        ("stages/lib.rs", "//! Stages out; nothing in.\npub mod redact;\npub mod transcribe;\n"),
        ("stages/redact.rs", "//! Texts in, redacted texts out. Not more.\nuse crate::redact::number;\n"),
        ("stages/redact/number.rs", "//! Numbers.\nuse headwater_contract::Stage;\nuse regex::Regex;\n"),
        ("engine/vault/disk/real.rs", "//! The disk.\nuse std::fs::File;\n"),
        ("engine/cli/main.rs", "//! The binary.\nheadwater_stages::run();\n"),
        ("plugins/alarm/main.rs", "//! Rows in, alarms out. Not more.\nheadwater::main_with(&[]);\n"),
        (
            "stages/transcribe.rs",
            "//! Sound in, text out. Not more.\nuse headwater_vault::Store;\nuse tract_onnx::prelude::*;\n",
        ),
    ];
    let packages = vec![
        package("headwater-contract", "engine/contract", &[]),
        package("headwater-vault", "engine/vault", &[]),
        package("headwater-runtime", "engine/runtime", &["headwater-contract", "timely"]),
        package(
            "headwater-stages",
            "stages",
            &["headwater-contract", "headwater-vault", "regex", "tract-onnx"],
        ),
        package("headwater", "", &["headwater-stages"]),
        package("alarm", "plugins/alarm", &["headwater"]),
    ];
    House { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into(), packages }
}

fn package(name: &str, folder: &str, dependencies: &[&str]) -> Package {
    let dependencies =
        dependencies.iter().map(|d| Dependency { name: (*d).to_owned(), dev: false }).collect();
    Package { name: name.to_owned(), folder: folder.to_owned(), dependencies }
}
