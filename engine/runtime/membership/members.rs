//! The members, as a file or a table names them.
//!
//! In: what is said of each device, with the place where it is said. Out: devices whose columns are known to fit together,
//! or every mistake with its place. It must not know where the words came from, nor timely.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::check::similar::{all_of, fold, near_miss, nearest};
use crate::plan::{Plan, PortRef};

/// The column that names the device.
pub const DEVICE: &str = "device";
/// The column that says whether the device's owner agrees.
pub const CONSENT: &str = "consent";
/// The groups that a pipeline file without `groups` speaks of, the smaller one first.
pub const GROUPS: [&str; 2] = ["gateway", "region"];

/// The members of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The columns that can be joined: those that name groups first, from the smaller group to the larger.
    pub columns: Vec<String>,
    /// The number of columns that name groups.
    pub groups: usize,
    /// The members when the pipeline starts.
    pub given: MemberSource,
    /// The output whose rows change who they are.
    pub changes: Option<PortRef>,
    /// True if a device whose consent is withdrawn is forgotten.
    pub forget: bool,
}

/// Where the members stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberSource {
    /// In a file, read when the pipeline starts.
    Table(PathBuf),
    /// In the pipeline file.
    Devices(Vec<Device>),
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name, which its rows carry.
    pub name: String,
    /// True if its rows may be used.
    pub consent: bool,
    /// By column of [`Members::columns`].
    pub values: Vec<Option<String>>,
}

/// The columns that an input asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asks {
    /// Indices of the columns that are joined to its rows.
    pub columns: Vec<usize>,
    /// True if only devices reach it: no row that stands for a group.
    pub devices: bool,
}

impl Members {
    /// The names of joined columns.
    pub fn names(&self, asks: &Asks) -> Vec<&str> {
        asks.columns.iter().filter_map(|at| self.columns.get(*at)).map(String::as_str).collect()
    }

    /// The columns that some input of the plan asks for.
    pub fn asked<'p>(&'p self, plan: &Plan) -> Vec<&'p str> {
        let inputs = plan.stages.iter().flat_map(|stage| &stage.inputs).filter_map(|i| i.asks.as_ref());
        let mut at: Vec<usize> = inputs.flat_map(|asks| asks.columns.iter().copied()).collect();
        at.sort_unstable();
        at.dedup();
        at.into_iter().filter_map(|at| self.columns.get(at)).map(String::as_str).collect()
    }
}

/// The word of a consent.
pub fn consent(word: &str) -> Option<bool> {
    match word {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// Something that is wrong with what is said of the members. It quotes names of devices and groups, and no other value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake<P> {
    /// Its code.
    pub code: &'static str,
    /// The problem, in one line.
    pub message: String,
    /// Where.
    pub place: P,
    /// The expected value.
    pub expected: Option<String>,
    /// Another place that has to do with it, and what stands there.
    pub also: Option<(P, String)>,
    /// The remedy.
    pub help: Option<String>,
}

impl<P> Mistake<P> {
    /// A mistake at a place.
    pub fn new(code: &'static str, message: impl Into<String>, place: P) -> Self {
        Mistake { code, message: message.into(), place, expected: None, also: None, help: None }
    }

    /// The same with what should stand there.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The same with what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with another place.
    pub fn also(mut self, place: P, text: impl Into<String>) -> Self {
        self.also = Some((place, text.into()));
        self
    }
}

/// The statements about one device.
pub struct Stated<P> {
    /// The device.
    pub device: String,
    /// Where it is named.
    pub place: P,
    /// Column, word and place; an empty word says nothing.
    pub cells: Vec<(String, String, P)>,
}

/// The devices, and what is wrong with them. Columns that are not among `columns` are passed over.
pub fn judge<P: Clone>(
    columns: &[String],
    groups: usize,
    stated: &[Stated<P>],
) -> (Vec<Device>, Vec<Mistake<P>>) {
    let mut wrong = Vec::new();
    let mut first: BTreeMap<&str, &P> = BTreeMap::new();
    let mut devices = Vec::new();
    for said in stated {
        if said.device.is_empty() {
            wrong.push(Mistake::new("H0006", "a device without a name", said.place.clone()));
            continue;
        }
        if let Some(before) = first.insert(&said.device, &said.place) {
            let error = Mistake::new("H0002", format!("`{}` stands twice", said.device), said.place.clone());
            wrong.push(error.also(before.clone(), "first here").help("remove one of the two"));
            continue;
        }
        devices.push(one(columns, said, &mut wrong));
    }
    wrong.extend(of_two_groups(columns, groups, stated));
    wrong.extend(ambiguous(columns, groups, stated, &first));
    (devices, wrong)
}

fn one<P: Clone>(columns: &[String], said: &Stated<P>, wrong: &mut Vec<Mistake<P>>) -> Device {
    let mut device = Device { name: said.device.clone(), consent: true, values: vec![None; columns.len()] };
    for (column, word, place) in &said.cells {
        if column == CONSENT {
            if let Some(given) = consent(word) {
                device.consent = given;
            } else {
                let what = format!("the consent of `{}` is neither given nor withdrawn", said.device);
                wrong.push(Mistake::new("H0006", what, place.clone()).expected("yes, no, true or false"));
            }
        } else if let Some(at) = columns.iter().position(|c| c == column)
            && let Some(slot) = device.values.get_mut(at)
        {
            *slot = Some(word.clone()).filter(|word| !word.is_empty());
        }
    }
    device
}

fn group_cells<'s, P>(
    columns: &'s [String],
    groups: usize,
    said: &'s Stated<P>,
) -> Vec<(usize, &'s str, &'s P)> {
    let known = columns.iter().take(groups).enumerate();
    let cell = |(at, column): (usize, &String)| {
        let (_, word, place) = said.cells.iter().find(|(c, word, _)| c == column && !word.is_empty())?;
        Some((at, word.as_str(), place))
    };
    known.filter_map(cell).collect()
}

/// Groups whose devices disagree about the larger group that they are in.
fn of_two_groups<P: Clone>(columns: &[String], groups: usize, stated: &[Stated<P>]) -> Vec<Mistake<P>> {
    let mut wrong = Vec::new();
    let mut known: BTreeMap<(usize, &str, usize), (&str, &P)> = BTreeMap::new();
    let name = |at: usize| columns.get(at).map_or("", String::as_str);
    for said in stated {
        let cells = group_cells(columns, groups, said);
        for (at, (small, group, _)) in cells.iter().enumerate() {
            for (large, word, place) in cells.iter().skip(at + 1) {
                let (before, first) = *known.entry((*small, group, *large)).or_insert((word, place));
                if before != *word {
                    let (small, large) = (name(*small), name(*large));
                    let what =
                        format!("the {small} `{group}` has the {large} `{before}` and the {large} `{word}`");
                    wrong.push(
                        Mistake::new("H0501", what, (*place).clone())
                            .also(first.clone(), format!("`{before}` here"))
                            .help(format!("all devices of a {small} have one {large}")),
                    );
                }
            }
        }
    }
    wrong
}

/// Names that stand for two things: a device and a group, or groups of two kinds.
fn ambiguous<P: Clone>(
    columns: &[String],
    groups: usize,
    stated: &[Stated<P>],
    devices: &BTreeMap<&str, &P>,
) -> Vec<Mistake<P>> {
    let mut wrong = Vec::new();
    let mut named_in: BTreeMap<&str, usize> = BTreeMap::new();
    let name = |at: usize| columns.get(at).map_or("", String::as_str);
    for said in stated {
        for (at, group, place) in group_cells(columns, groups, said) {
            let (before, new) = match named_in.get(group) {
                Some(before) => (*before, false),
                None => (at, true),
            };
            named_in.entry(group).or_insert(at);
            if let Some(device) = devices.get(group).filter(|_| new) {
                let what = format!("`{group}` is the name of a device and of a {}", name(at));
                let error = Mistake::new("H0502", what, place.clone()).also((*device).clone(), "the device");
                wrong.push(error.help("give one of the two another name: rows carry it as `device`"));
            } else if before != at {
                let what = format!("`{group}` is the name of a {} and of a {}", name(before), name(at));
                let error = Mistake::new("H0502", what, place.clone());
                wrong.push(error.help("give one of the two another name: rows carry it as `device`"));
            }
        }
    }
    wrong
}

/// Returns the errors in the names of a table's columns: those that are asked for and are not there, and those that are nearly a
/// known one and would be ignored.
pub fn wrong_columns<P: Clone>(
    columns: &[String],
    asked: &[&str],
    there: &[(&str, P)],
    place: &P,
) -> Vec<Mistake<P>> {
    let names: Vec<&str> = there.iter().map(|(name, _)| *name).collect();
    let near: Vec<(&str, &str, &P)> =
        there.iter().filter_map(|(name, at)| Some((*name, meant(name, &names, columns)?, at))).collect();
    let unmet: Vec<&str> =
        asked.iter().copied().filter(|column| near.iter().all(|(_, meant, _)| meant != column)).collect();
    let mut wrong = absent(&unmet, &names, place);
    wrong.extend(near.into_iter().map(|(name, meant, at)| {
        let what = format!("the column `{}` would be ignored", name.escape_debug());
        Mistake::new("H0504", what, at.clone()).help(mistaken(meant))
    }));
    wrong
}

/// Returns the remedy for a column that is nearly a known one.
pub fn mistaken(meant: &str) -> String {
    format!("did you mean `{meant}`? a column of another meaning needs a name less like it")
}

/// The known column that a column which is ignored seems to be. A misspelt one is passed over where the right one is there too;
/// one that differs in case or blanks alone never is, since it cannot be known which of the two counts. Whatever speaks of
/// consent counts as a near miss: ignored, it would let in devices that said no.
pub fn meant<'c>(name: &str, there: &[&str], columns: &'c [String]) -> Option<&'c str> {
    let known = [DEVICE, CONSENT].into_iter().chain(columns.iter().map(String::as_str));
    if known.clone().any(|known| known == name) {
        return None;
    }
    let of_consent = || fold(name).contains(CONSENT).then_some(CONSENT);
    let meant = near_miss(name, known).or_else(of_consent)?;
    (fold(meant) == fold(name) || !there.contains(&meant)).then_some(meant)
}

/// Columns that are asked for and that a table does not have.
fn absent<P: Clone>(asked: &[&str], there: &[&str], place: &P) -> Vec<Mistake<P>> {
    let missing = asked.iter().filter(|column| !there.contains(column));
    missing
        .map(|column| {
            let error = Mistake::new("H0308", format!("the table has no column `{column}`"), place.clone());
            match nearest(column, there.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("its columns are {}", all_of(there.iter().copied()))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (&'static str, &'static [(&'static str, &'static str)]);

    fn check(rows: &[Row], expected: &[(usize, &str)]) {
        let columns = ["gateway", "region", "floor"].map(str::to_owned);
        let stated: Vec<Stated<usize>> = rows
            .iter()
            .enumerate()
            .map(|(at, (device, cells))| Stated {
                device: (*device).to_owned(),
                place: at,
                cells: cells.iter().map(|(c, w)| ((*c).to_owned(), (*w).to_owned(), at)).collect(),
            })
            .collect();
        let (_, wrong) = judge(&columns, 2, &stated);
        let found: Vec<(usize, &str)> = wrong.iter().map(|m| (m.place, m.message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn mistakes_are_found() {
        check(
            &[("a", &[("gateway", "g"), ("region", "n")]), ("b", &[("gateway", "h"), ("region", "n")])],
            &[],
        );
        check(&[("a", &[("gateway", "g"), ("floor", "1")]), ("b", &[("gateway", "g"), ("floor", "2")])], &[]);
        check(
            &[("a", &[("gateway", "g"), ("region", "n")]), ("b", &[("gateway", "g"), ("region", "")])],
            &[],
        );
        check(&[("a", &[]), ("a", &[])], &[(1, "`a` stands twice")]);
        check(&[("", &[])], &[(0, "a device without a name")]);
        check(&[("a", &[("consent", "maybe")])], &[(0, "the consent of `a` is neither given nor withdrawn")]);
        check(
            &[("a", &[("gateway", "g"), ("region", "n")]), ("b", &[("gateway", "g"), ("region", "s")])],
            &[(1, "the gateway `g` has the region `n` and the region `s`")],
        );
        check(
            &[("g", &[]), ("b", &[("gateway", "g")])],
            &[(1, "`g` is the name of a device and of a gateway")],
        );
        check(
            &[("a", &[("gateway", "g"), ("region", "g")])],
            &[(0, "`g` is the name of a gateway and of a region")],
        );
    }

    #[test]
    fn columns_that_are_nearly_known_ones_are_wrong() {
        let check = |there: &[&str], expected: &[&str]| {
            let columns = ["gateway", "region", "building"].map(str::to_owned);
            let there: Vec<(&str, usize)> = there.iter().zip(0..).map(|(name, at)| (*name, at)).collect();
            let wrong = wrong_columns(&columns, &["device", "gateway"], &there, &99);
            let found: Vec<String> =
                wrong.into_iter().map(|m| format!("{} {}", m.place, m.message)).collect();
            assert_eq!(found, expected, "{there:?}");
        };
        check(&["device", "gateway", "region", "consent", "floor"], &[]);
        check(&["device", "gateway", "Consent"], &["2 the column `Consent` would be ignored"]);
        check(&["device", "gateway", "consent "], &["2 the column `consent ` would be ignored"]);
        check(&["device", "gateway", "con\tsent"], &["2 the column `con\\tsent` would be ignored"]);
        for name in ["consents", "concent", "consent_given", "hasConsent", "user consent", "Consent (yes/no)"]
        {
            check(&["device", "gateway", name], &[&format!("2 the column `{name}` would be ignored")]);
            check(&["device", "gateway", "consent", name], &[]);
        }
        // Which of the two counts is not known.
        check(&["device", "gateway", "consent", "CONSENT"], &["3 the column `CONSENT` would be ignored"]);
        check(&["Device", "gateway"], &["0 the column `Device` would be ignored"]);
        check(&["device", "Gateway"], &["1 the column `Gateway` would be ignored"]);
        check(&["device", "gateway", "buildings"], &["2 the column `buildings` would be ignored"]);
        check(&["device"], &["99 the table has no column `gateway`"]);
        check(&["gadget", "gateway"], &["99 the table has no column `device`"]);
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let cells = vec![("region".into(), "n".into(), ()), ("consent".into(), "no".into(), ())];
        let said = Stated { device: "a".into(), place: (), cells };
        let (devices, wrong) = judge(&["gateway".into(), "region".into()], 2, &[said]);
        assert!(wrong.is_empty());
        let values = vec![None, Some("n".into())];
        assert_eq!(devices, [Device { name: "a".into(), consent: false, values }]);
    }
}
