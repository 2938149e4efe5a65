//! Rules about who may depend on whom. In: packages and manifests. Out: dependencies that break a floor.

use std::collections::BTreeSet;

use crate::house::{House, Package};
use crate::sources::{code_lines, words};
use crate::{Breach, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "floors",
        reason: "cli -> stages, runtime, vault, datasets; stages -> contract, datasets, dtype, federation, training, vault; training -> dtype; runtime -> contract; \
                 plugins -> headwater, contract. What is below must not know what is above, or the engine grows around one stage",
        breaches: floors,
    },
    Rule {
        name: "foreign crates in their rooms",
        reason: "a library that one crate hides can be replaced there; one that two crates name cannot",
        breaches: rooms,
    },
    Rule {
        name: "one version for the house",
        reason: "a dependency that a crate versions by itself is compiled twice, or with other features, when built alone",
        breaches: versions,
    },
    Rule {
        name: "every dependency has its reason",
        reason: "each crate that comes in stands in ARCHITECTURE.md with what it is needed for",
        breaches: reasons,
    },
    Rule {
        name: "no idle dependency",
        reason: "a dependency that no source names is compiled, licensed and trusted for nothing",
        breaches: idle,
    },
];

/// What each package may depend on among our own.
const FLOORS: &[(&str, &[&str])] = &[
    ("headwater-contract", &[]),
    ("headwater-vault", &[]),
    ("headwater-datasets", &[]),
    ("headwater-runtime", &["headwater-contract"]),
    ("headwater-federation", &[]),
    ("headwater-dtype", &[]),
    ("headwater-training", &["headwater-dtype"]),
    ("headwater-evaluate", &["headwater-datasets"]),
    (
        "headwater-stages",
        &[
            "headwater-contract",
            "headwater-datasets",
            "headwater-dtype",
            "headwater-federation",
            "headwater-training",
            "headwater-vault",
        ],
    ),
    (
        "headwater",
        &[
            "headwater-contract",
            "headwater-runtime",
            "headwater-stages",
            "headwater-vault",
            "headwater-datasets",
            "headwater-evaluate",
        ],
    ),
];

/// What a package below plugins/ may depend on among our own.
const PLUGIN_FLOOR: &[&str] = &["headwater", "headwater-contract"];

/// Foreign crates, by the start of their names, and the only packages whose code may use them.
const ROOMS: &[(&str, &[&str])] = &[
    ("timely", &["headwater-runtime"]),
    ("differential-dataflow", &["headwater-runtime"]),
    ("tract", &["headwater-stages"]),
    ("tch", &["headwater-training"]),
    ("cpal", &["headwater-stages"]),
    // The vault writes and reads sealed segments; the datasets read plain files of text, the runtime tables of members; reports are tables.
    ("parquet", &["headwater-vault", "headwater-datasets", "headwater-runtime", "headwater-evaluate"]),
    ("aes-gcm", &["headwater-vault"]),
    ("symphonia", &["headwater-datasets"]),
    ("annotate-snippets", &["headwater-runtime"]),
    ("clap", &["headwater"]),
    ("rustls", &["headwater-runtime"]),
    ("rcgen", &["headwater-runtime"]),
];

/// Dependencies that only some builds want stand in the manifest of their crate, with their version.
const VERSIONED_ALONE: &[(&str, &str)] = &[("stages/Cargo.toml", "cpal")];

fn is_ours(name: &str) -> bool {
    name == "headwater" || name.starts_with("headwater-")
}

fn floors(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in &house.packages {
        let known = FLOORS.iter().find(|(name, _)| *name == package.name).map(|(_, below)| *below);
        let plugin = package.folder.starts_with("plugins/").then_some(PLUGIN_FLOOR);
        let Some(below) = known.or(plugin) else {
            breaches.push(Breach::new(
                &package.name,
                "a package without a floor: give it one in tests/tidy/floors.rs",
            ));
            continue;
        };
        let above =
            package.dependencies.iter().filter(|d| is_ours(&d.name) && !below.contains(&d.name.as_str()));
        breaches.extend(above.map(|d| Breach::new(&package.name, format!("depends on {}", d.name))));
    }
    breaches
}

/// Tests and benches may compare with anything, so only what is compiled into the crates counts.
fn rooms(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in &house.packages {
        for dependency in package.dependencies.iter().filter(|d| !d.dev) {
            let room = ROOMS.iter().find(|(name, _)| {
                dependency.name == *name || dependency.name.starts_with(&format!("{name}-"))
            });
            if let Some((_, homes)) = room.filter(|(_, homes)| !homes.contains(&package.name.as_str())) {
                let what = format!("uses {}, which belongs to {}", dependency.name, homes.join(", "));
                breaches.push(Breach::new(&package.name, what));
            }
        }
    }
    breaches
}

fn versions(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in &house.packages {
        let path = manifest_path(&package.folder);
        for (name, value) in dependencies(house, &path) {
            let shared = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            let ours = value.get("path").is_some();
            if !shared && !ours && !VERSIONED_ALONE.contains(&(path.as_str(), name.as_str())) {
                breaches.push(Breach::new(
                    &path,
                    format!("`{name}` has a version of its own; write `{name}.workspace = true`"),
                ));
            }
        }
    }
    breaches
}

fn reasons(house: &House) -> Vec<Breach> {
    let architecture = house.text("ARCHITECTURE.md").unwrap_or_default();
    let unknown = shared(house)
        .into_iter()
        .filter(|name| !is_ours(name) && !architecture.contains(&format!("`{name}`")));
    unknown.map(|name| Breach::new("ARCHITECTURE.md", format!("says nothing of `{name}`"))).collect()
}

fn idle(house: &House) -> Vec<Breach> {
    let asked = |name: &str| house.packages.iter().any(|p| p.dependencies.iter().any(|d| d.name == name));
    let mut breaches: Vec<Breach> = shared(house)
        .into_iter()
        .filter(|name| !asked(name))
        .map(|name| Breach::new("Cargo.toml", format!("no crate asks for `{name}`")))
        .collect();
    for package in &house.packages {
        let named: BTreeSet<String> = sources_of(house, package)
            .flat_map(|text| {
                code_lines(text).flat_map(|(_, code)| words(&code).map(str::to_owned).collect::<Vec<_>>())
            })
            .collect();
        let unnamed = package.dependencies.iter().filter(|d| !named.contains(&d.name.replace('-', "_")));
        breaches.extend(unnamed.map(|d| Breach::new(&package.name, format!("no source names `{}`", d.name))));
    }
    breaches
}

/// The names of the dependencies that the whole workspace shares.
fn shared(house: &House) -> Vec<String> {
    let root: toml::Table = house.text("Cargo.toml").and_then(|text| text.parse().ok()).unwrap_or_default();
    let table = root.get("workspace").and_then(|w| w.get("dependencies")).and_then(toml::Value::as_table);
    table.into_iter().flat_map(toml::Table::keys).cloned().collect()
}

/// The texts of a package's sources; the root package has no folder of its own.
fn sources_of<'h>(house: &'h House, package: &'h Package) -> impl Iterator<Item = &'h str> {
    let folders = if package.folder.is_empty() {
        ["engine/cli/", "tests/", "benches/"].map(str::to_owned).to_vec()
    } else {
        vec![format!("{}/", package.folder)]
    };
    house
        .sources()
        .filter(move |(path, _)| folders.iter().any(|folder| path.starts_with(folder)))
        .map(|(_, text)| text)
}

fn manifest_path(folder: &str) -> String {
    if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") }
}

fn dependencies(house: &House, path: &str) -> Vec<(String, toml::Value)> {
    let manifest: toml::Table = house.text(path).and_then(|text| text.parse().ok()).unwrap_or_default();
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind).and_then(toml::Value::as_table))
        .flat_map(|table| table.iter().map(|(name, value)| (name.clone(), value.clone())))
        .collect()
}
