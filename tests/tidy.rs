//! Holds the sources to what ARCHITECTURE.md says. In: the tracked files and what cargo knows of the packages. Out:
//! every place that breaks a rule, with the rule's reason. A broken sample of each rule proves that it can fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/words.rs"]
mod words;

use house::House;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    /// A file, with its line where there is one, or a package.
    place: String,
    what: String,
}

impl Breach {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Breach { place: place.into(), what: what.into() }
    }
}

/// A rule of the house.
pub struct Rule {
    name: &'static str,
    reason: &'static str,
    breaches: fn(&House) -> Vec<Breach>,
}

/// Every rule.
const RULES: &[&[Rule]] = &[floors::RULES, sources::RULES, words::RULES];

fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().flat_map(|rules| rules.iter())
}

#[test]
fn the_house_is_tidy() {
    let house = House::read();
    let mut printed = String::new();
    for rule in rules() {
        let breaches = (rule.breaches)(&house);
        if !breaches.is_empty() {
            printed += &format!("\n{}: {}\n", rule.name, rule.reason);
        }
        for Breach { place, what } in breaches {
            printed += &format!("  {place}: {what}\n");
        }
    }
    assert!(printed.is_empty(), "\n{printed}");
}

/// What a reader of nothing would find tidy too.
#[test]
fn the_house_was_read() {
    let house = House::read();
    assert!(house.packages.len() >= 7, "{} packages", house.packages.len());
    for path in ["engine/contract/stage.rs", "engine/runtime/dataflow.rs", "Cargo.toml", "ARCHITECTURE.md"] {
        assert!(house.text(path).is_some_and(|text| text.len() > 100), "{path} was not read");
    }
}

#[test]
fn each_rule_can_fail() {
    for rule in rules() {
        let broken: Vec<_> = samples::BROKEN.iter().filter(|sample| sample.rule == rule.name).collect();
        assert!(!broken.is_empty(), "no broken sample for the rule `{}`", rule.name);
        for sample in broken {
            let breaches = (rule.breaches)(&sample.house());
            assert!(
                breaches.iter().any(|b| b.place.starts_with(sample.place) && b.what.contains(sample.what)),
                "`{}` does not find `{}` at {}; it found {breaches:?}",
                rule.name,
                sample.what,
                sample.place,
            );
        }
        let breaches = (rule.breaches)(&samples::tidy());
        assert!(breaches.is_empty(), "`{}` finds fault with a tidy house: {breaches:?}", rule.name);
    }
    for sample in samples::BROKEN {
        assert!(rules().any(|rule| rule.name == sample.rule), "a sample for no rule: `{}`", sample.rule);
    }
}
