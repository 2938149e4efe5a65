//! `[members]`: whose rows are taken, which of their columns can be joined, and what changes them.

use std::path::PathBuf;

use arrow::datatypes::{DataType, Schema};
use headwater_contract::{Input, Label};

use super::draft::{Draft, Read};
use super::ids::is_id;
use super::similar::{all_of, nearest, one_of};
use super::wiring;
use crate::diagnostic::{Diagnostic, Span};
use crate::membership::members::{
    Asks, CONSENT, DEVICE, GROUPS, MemberSource, Mistake, Stated, judge, meant, mistaken,
};
use crate::pipeline::{Entry, Node, Pipeline, Value};

/// The keys of `[members]`, for people: what they mean, their form.
pub const KEYS: [(&str, &str); 6] = [
    (
        "table",
        "The file that names the members: a .csv, .toml or .parquet with the columns device, consent and those below.",
    ),
    ("devices", "The members themselves, instead of a table: a table for each device."),
    (
        "groups",
        "The columns that name groups, from the smaller group to the larger. Default: [\"gateway\", \"region\"]",
    ),
    ("columns", "Further text columns of the table that inputs may ask for."),
    ("changes", "The output whose rows change the members, from the end of the round on: \"stage.port\"."),
    (
        "forget",
        "Whether a device whose consent is withdrawn is forgotten: what it gave is taken out. Default: false",
    ),
];

/// The values of `[members]`.
pub(super) struct MembersDraft {
    span: Span,
    /// The columns that can be joined, those of groups first.
    pub(super) columns: Vec<String>,
    pub(super) groups: usize,
    pub(super) given: Option<MemberSource>,
    pub(super) changes: Option<Read>,
    /// Where it says that devices which withdraw are forgotten.
    pub(super) forget: Option<Span>,
}

/// Reads `[members]`, if it is there.
pub(super) fn read(pipeline: &Pipeline, drafts: &mut [Draft<'_>]) -> (Option<MembersDraft>, Vec<Diagnostic>) {
    let Some(span) = &pipeline.members_span else { return (None, Vec::new()) };
    let mut found = Vec::new();
    let get = |key: &str| pipeline.members.iter().find(|entry| entry.key == key);
    found.extend(pipeline.members.iter().filter(|e| KEYS.iter().all(|(key, _)| *key != e.key)).map(unknown));
    let mut groups = get("groups").map_or_else(
        || GROUPS.map(str::to_owned).to_vec(),
        |entry| names(entry, "[\"gateway\", \"region\"]", &mut found),
    );
    if found.iter().any(|error| error.code == "H0005") {
        // Where the list is wrong, its missing columns are not reported as well.
        groups.extend(GROUPS.map(str::to_owned));
    }
    let more = get("columns").map_or_else(Vec::new, |entry| names(entry, "[\"building\"]", &mut found));
    let (mut columns, mut of_groups) = (Vec::new(), 0);
    for (at, column) in groups.iter().chain(&more).enumerate() {
        if !columns.contains(column) {
            columns.push(column.clone());
            of_groups += usize::from(at < groups.len());
        }
    }
    let mut draft = MembersDraft {
        span: span.clone(),
        groups: of_groups,
        columns,
        given: None,
        changes: None,
        forget: None,
    };
    distinct([get("groups"), get("columns")], &mut found);
    draft.given = draft.given(get("table"), get("devices"), &mut found);
    if let Some(entry) = get("changes") {
        let (read, meant, wrong) = wiring::output(drafts, "changes", &entry.node);
        draft.changes = read;
        found.extend(wrong);
        // A column that was likely meant is not reported as unread.
        if let Some(first) = drafts.first_mut() {
            first.meant.extend(meant);
        }
    }
    if let Some(entry) = get("forget") {
        if let Value::Boolean(forgets) = entry.node.value {
            draft.forget = forgets.then(|| entry.node.span.clone());
        } else {
            let error = entry.node.error("H0005", format!("`forget` is {}", entry.node.type_name()));
            found.push(error.expected("true or false"));
        }
    }
    (Some(draft), found)
}

fn unknown(entry: &Entry) -> Diagnostic {
    let names = KEYS.map(|(name, _)| name);
    let error = entry.key_error("H0003", format!("unknown key `{}` in [members]", entry.key));
    match nearest(&entry.key, names) {
        Some(near) => error.suggest(format!("did you mean `{near}`?"), &entry.key_span, near),
        None => error.help(format!("its keys are {}", all_of(names))),
    }
}

/// A list of names of columns.
fn names(entry: &Entry, form: &str, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let expected = format!("a list of names of columns, such as {form}");
    let Value::Array(items) = &entry.node.value else {
        let what = format!("`{}` is {}", entry.key, entry.node.type_name());
        found.push(entry.node.error("H0005", what).expected(expected));
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in items {
        match item.as_str() {
            Some(_) if item.is_template() => {}
            Some(DEVICE | CONSENT) => {
                let error = item.error("H0005", "`device` and `consent` are there without being named");
                found.push(error.help("remove it from the list"));
            }
            Some(name) if is_id(name) => names.push(name.to_owned()),
            _ => found.push(
                item.error("H0005", "this cannot be the name of a column")
                    .expected("a small letter, then small letters, digits and underscores, in quotes"),
            ),
        }
    }
    names
}

/// No column stands in the lists twice.
fn distinct(lists: [Option<&Entry>; 2], found: &mut Vec<Diagnostic>) {
    let items = lists.into_iter().flatten().flat_map(|entry| match &entry.node.value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    });
    let items: Vec<&Node> = items.filter(|item| item.as_str().is_some()).collect();
    for (at, item) in items.iter().enumerate() {
        let Some(first) = items.iter().take(at).find(|before| before.as_str() == item.as_str()) else {
            continue;
        };
        let name = item.as_str().unwrap_or_default();
        let error = Diagnostic::at("H0002", format!("the column `{name}` stands twice"), &item.span);
        found.push(error.label("again here").also(&first.span, "first here").help("keep one of the two"));
    }
}

fn read_table(node: &Node, found: &mut Vec<Diagnostic>) -> Option<MemberSource> {
    let Some(path) = node.as_str() else {
        let error = node.error("H0005", format!("`table` is {}", node.type_name()));
        found.push(error.expected("the path of a .csv, .toml or .parquet, such as \"members.csv\""));
        return None;
    };
    let path = PathBuf::from(path);
    let form = path.extension().and_then(|e| e.to_str());
    if !node.is_unknown() && !matches!(form, Some("csv" | "toml" | "parquet")) {
        let error = node.error("H0005", "not a table of members");
        found.push(error.expected("a path that ends in .csv, .toml or .parquet"));
        return None;
    }
    Some(MemberSource::Table(path))
}

impl MembersDraft {
    fn given(
        &self,
        table: Option<&Entry>,
        devices: Option<&Entry>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<MemberSource> {
        match (table, devices) {
            (None, None) => {
                let error = Diagnostic::at("H0206", "[members] does not say who they are", &self.span);
                found.push(error.expected("a line such as `table = \"members.csv\"` below"));
                None
            }
            (Some(table), Some(devices)) => {
                let error = Diagnostic::at("H0207", "[members] says twice who they are", &devices.key_span);
                found.push(error.also(&table.key_span, "a table too").help("remove one of the two"));
                None
            }
            (Some(table), None) => read_table(&table.node, found),
            (None, Some(devices)) => self.devices(&devices.node, found),
        }
    }

    fn devices(&self, node: &Node, found: &mut Vec<Diagnostic>) -> Option<MemberSource> {
        const FORM: &str = "a table for each device: { gateway = \"harbour\", consent = true }";
        let Value::Table(entries) = &node.value else {
            let error = node.error("H0005", format!("`devices` is {}", node.type_name()));
            found.push(error.expected(FORM));
            return None;
        };
        let before = found.len();
        let stated: Vec<Stated<Span>> = entries
            .iter()
            .filter_map(|entry| {
                let Value::Table(cells) = &entry.node.value else {
                    let what = format!("`{}` is {}", entry.key, entry.node.type_name());
                    found.push(entry.node.error("H0005", what).expected(FORM));
                    return None;
                };
                let cells = cells.iter().filter_map(|cell| self.cell(cell, found)).collect();
                Some(Stated { device: entry.key.clone(), place: entry.key_span.clone(), cells })
            })
            .collect();
        let (devices, wrong) = judge(&self.columns, self.groups, &stated);
        found.extend(wrong.into_iter().map(of_file));
        (found.len() == before).then_some(MemberSource::Devices(devices))
    }

    fn cell(&self, cell: &Entry, found: &mut Vec<Diagnostic>) -> Option<(String, String, Span)> {
        let (key, node) = (cell.key.as_str(), &cell.node);
        let word = match &node.value {
            _ if key != CONSENT && !self.columns.iter().any(|c| c == key) => {
                let error = cell.key_error("H0003", format!("the members have no column `{key}`"));
                let known = self.columns.iter().map(String::as_str).chain([CONSENT]);
                found.push(match nearest(key, known.clone()) {
                    Some(near) => error.suggest(format!("did you mean `{near}`?"), &cell.key_span, near),
                    None => error
                        .expected(one_of(known))
                        .help("name further columns under [members]: `columns = [\"building\"]`"),
                });
                return None;
            }
            Value::String(word) => word.clone(),
            Value::Boolean(given) if key == CONSENT => given.to_string(),
            _ => {
                let error = node.error("H0005", format!("`{key}` is {}", node.type_name()));
                found.push(error.expected(if key == CONSENT { "true or false" } else { "a string" }));
                return None;
            }
        };
        (!node.is_unknown()).then(|| (key.to_owned(), word, node.span.clone()))
    }

    /// Returns the columns that an input asks for, and those that it then has.
    pub(super) fn asks(&self, port: usize, input: &Input, given: &Schema) -> Option<Asks> {
        if input.feedback {
            return None;
        }
        let misfits = input.misfits(port, given);
        let missing = misfits.iter().filter(|m| m.found.is_none() && m.needed == DataType::Utf8);
        let columns: Vec<usize> =
            missing.filter_map(|m| self.columns.iter().position(|c| *c == m.column)).collect();
        (input.members || !columns.is_empty()).then_some(Asks { columns, devices: input.members })
    }

    /// Returns the errors in the columns of what changes the members.
    pub(super) fn misfit(&self, from: &str, given: &Schema) -> Option<Diagnostic> {
        let read = self.changes.as_ref()?;
        let field = |name: &str| given.field_with_name(name).ok();
        let names: Vec<&str> = given.fields().iter().map(|field| field.name().as_str()).collect();
        let near = names.iter().find_map(|name| Some((name, meant(name, &names, &self.columns)?)));
        if let Some((name, meant)) = near {
            let what = format!("the column `{}` of `{from}` would be ignored", name.escape_debug());
            return Some(Diagnostic::at("H0504", what, &read.span).help(mistaken(meant)));
        }
        let mut any = false;
        for name in self.columns.iter().map(String::as_str).chain([CONSENT]) {
            let Some(field) = field(name) else { continue };
            any = true;
            let fits = *field.data_type() == DataType::Utf8
                || name == CONSENT && *field.data_type() == DataType::Boolean;
            if !fits {
                let found = super::column::type_name(field.data_type());
                let what =
                    format!("changes of the members need `{name}` as string, and `{from}` gives {found}");
                return Some(Diagnostic::at("H0308", what, &read.span));
            }
        }
        if any {
            return None;
        }
        let known = self.columns.iter().map(String::as_str).chain([CONSENT]);
        let what = format!("`{from}` changes nothing: it gives no column of the members");
        Some(Diagnostic::at("H0308", what, &read.span).expected(one_of(known)))
    }

    /// Returns the error when columns that changes carry are joined to rows that are less private than the changes.
    pub(super) fn lifts(
        &self,
        asks: &Asks,
        changes: (Label, &Schema),
        to: (Label, &str),
    ) -> Option<Diagnostic> {
        let read = self.changes.as_ref()?;
        let ((from, given), (label, name)) = (changes, to);
        let columns = asks.columns.iter().filter_map(|at| self.columns.get(*at));
        let carried = columns.map(String::as_str).find(|c| given.field_with_name(c).is_ok())?;
        (from > label).then(|| {
            let what = format!("`{carried}` of {from} rows would be joined to the {label} ones of `{name}`");
            let error = Diagnostic::at("H0401", what, &read.span);
            error
                .expected(format!("rows that are {label} or less private"))
                .note("changes that carry the consent alone may be of any label: it is joined to nothing")
        })
    }
}

/// A mistake at its place in the pipeline file.
fn of_file(mistake: Mistake<Span>) -> Diagnostic {
    let mut error = Diagnostic::at(mistake.code, mistake.message, &mistake.place);
    error.expected = mistake.expected;
    error.help = mistake.help;
    match mistake.also {
        Some((place, text)) => error.also(&place, text),
        None => error,
    }
}
