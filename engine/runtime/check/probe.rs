//! The outputs of a stage in spite of mistakes in its options, so that errors further down are reported at once too.
//!
//! The signature counts as known when it does not depend on the options in doubt: it is computed for several values of each,
//! and all must agree.

use headwater_contract::{OptionSpec, Shape, Signature, StageFactory, Work, toml};

/// The signature that a stage has whatever the options in doubt are.
pub(super) fn signature(
    kind: StageFactory,
    given: &toml::Table,
    doubtful: &[OptionSpec],
) -> Option<Signature> {
    let mut base = given.clone();
    let specs = kind.options();
    base.retain(|key, _| specs.iter().any(|s| s.name == key) && !doubtful.iter().any(|d| d.name == key));
    for spec in specs.iter().filter(|s| s.required) {
        if !base.contains_key(spec.name) {
            base.insert(spec.name.to_owned(), sample(kind, spec)?);
        }
    }
    let known = plan(kind, &base)?;
    let agree = doubtful.iter().all(|spec| {
        values(kind, spec).into_iter().all(|value| {
            let mut table = base.clone();
            table.insert(spec.name.to_owned(), value);
            plan(kind, &table).is_none_or(|other| other == known)
        })
    });
    agree.then_some(known)
}

fn plan(kind: StageFactory, table: &toml::Table) -> Option<Signature> {
    kind.plan(table).ok().map(|role| Signature { work: Work::default(), ..role.signature() })
}

/// A value that an option may have.
pub(super) fn sample(kind: StageFactory, spec: &OptionSpec) -> Option<toml::Value> {
    values(kind, spec).into_iter().next()
}

/// Values that an option may have: some that a kind may treat differently.
fn values(kind: StageFactory, spec: &OptionSpec) -> Vec<toml::Value> {
    let mut values = of_shape(spec);
    values.extend(kind.telling(spec.name).iter().filter_map(|value| parse(value)));
    values
}

fn of_shape(spec: &OptionSpec) -> Vec<toml::Value> {
    let texts = |words: &[&str]| words.iter().map(|w| toml::Value::String((*w).to_owned())).collect();
    if let Some(default) = spec.default.as_deref().and_then(parse) {
        let mut all = vec![default];
        all.extend(of_shape(&OptionSpec { default: None, ..spec.clone() }));
        return all;
    }
    match &spec.shape {
        Shape::Text => texts(&["text", "other"]),
        Shape::Switch => vec![toml::Value::Boolean(false), toml::Value::Boolean(true)],
        Shape::Choice(words) => texts(words),
        Shape::Integer | Shape::Number => spec.range.map_or_else(
            || parse(&spec.shape.sample()).into_iter().collect(),
            |(low, _)| vec![whole_or_float(low, &spec.shape)],
        ),
        shape => parse(&shape.sample()).into_iter().collect(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "ranges of whole numbers are written as whole numbers")]
fn whole_or_float(number: f64, shape: &Shape) -> toml::Value {
    match shape {
        Shape::Integer => toml::Value::Integer(number as i64),
        _ => toml::Value::Float(number),
    }
}

fn parse(value: &str) -> Option<toml::Value> {
    let table: toml::Table = format!("v = {value}").parse().ok()?;
    table.get("v").cloned()
}
