//! Which names mean the same kind of personal data, and which kinds are looked at together.
//!
//! In: a name as a data set or a program writes it. Out: the kind that is scored. The table is kinds.json beside this file.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    kinds: serde_json::Map<String, serde_json::Value>,
    part_of: BTreeMap<String, Vec<String>>,
    core: Vec<String>,
    structured: Vec<String>,
}

/// The kinds there are.
pub struct Kinds {
    /// In the order in which they are shown.
    order: Vec<String>,
    names: HashMap<String, String>,
    part_of: BTreeMap<String, Vec<String>>,
    /// Those that are first to be looked at.
    pub core: Vec<String>,
    /// Those that have a form: numbers, codes and addresses on the net.
    pub structured: Vec<String>,
}

/// The table, read once.
pub fn kinds() -> &'static Kinds {
    static KINDS: OnceLock<Kinds> = OnceLock::new();
    KINDS.get_or_init(|| Kinds::parse(include_str!("kinds.json")).unwrap_or_else(Kinds::none))
}

impl Kinds {
    fn none() -> Kinds {
        let (core, structured) = (Vec::new(), Vec::new());
        Kinds { order: Vec::new(), names: HashMap::new(), part_of: BTreeMap::new(), core, structured }
    }

    fn parse(text: &str) -> Option<Kinds> {
        let table: Table = serde_json::from_str(text).ok()?;
        let mut names = HashMap::new();
        for (kind, others) in &table.kinds {
            names.insert(kind.clone(), kind.clone());
            for other in others.as_array()? {
                names.insert(other.as_str()?.to_owned(), kind.clone());
            }
        }
        let order = table.kinds.keys().cloned().collect();
        Some(Kinds { order, names, part_of: table.part_of, core: table.core, structured: table.structured })
    }

    /// The kind of a name.
    pub fn of(&self, name: &str) -> String {
        let name = name.trim().to_lowercase().replace(' ', "_");
        self.names.get(&name).cloned().unwrap_or(name)
    }

    /// Returns true if a finding of `kind` is right inside of a span of `whole`.
    pub fn is_part(&self, kind: &str, whole: &str) -> bool {
        self.part_of.get(kind).is_some_and(|wholes| wholes.iter().any(|known| known == whole))
    }

    /// Where a kind stands among the others.
    pub fn place(&self, kind: &str) -> usize {
        self.order.iter().position(|known| known == kind).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::kinds;

    #[test]
    fn names_of_the_field_are_known() {
        let table = [
            ("CREDIT_CARD", "card"),
            ("Phone Number", "phone"),
            ("US_SSN", "ssn"),
            ("email", "email"),
            ("CUSTOM", "custom"),
            (" ip_address ", "ip"),
        ];
        for (name, kind) in table {
            assert_eq!(kinds().of(name), kind, "{name}");
        }
        assert!(kinds().is_part("postcode", "address") && !kinds().is_part("address", "postcode"));
        assert!(kinds().place("card") < kinds().place("custom") && kinds().core.len() > 5);
    }
}
