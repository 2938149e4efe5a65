//! A folder with a tagger in, what it says of itself out.
//!
//! In: config.json and tokenizer.json. Out: the tokenizer, what its labels stand for, its limits, and which file holds the graph; or
//! everything that is wrong, at once. It must not know tract.

use std::path::{Path, PathBuf};

use headwater_contract::{Result, StageError};
use serde_json::Value;
use tokenizers::{Encoding, Tokenizer};

use super::super::kind::Entity;
use super::Tag;

/// The content of a folder.
pub(super) struct Described {
    pub(super) tokenizer: Tokenizer,
    pub(super) tags: Vec<Option<Tag>>,
    pub(super) around: (i64, i64),
    pub(super) padding: i64,
    pub(super) most: usize,
    /// The graph.
    pub(super) file: PathBuf,
}

/// The places where exporters put the graph.
const GRAPHS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];
const TYPES: [&str; 2] = ["bert", "distilbert"];

/// Words of labels, without `B-` or `I-`, and the kinds that they stand for. The name of a kind stands for itself.
const WORDS: &[(Entity, &[&str])] = &[
    (
        Entity::Person,
        &[
            "PER",
            "NAME",
            "PATIENT",
            "DOCTOR",
            "STAFF",
            "GIVENNAME",
            "SURNAME",
            "FIRSTNAME",
            "LASTNAME",
            "MIDDLENAME",
            "NAME_STUDENT",
        ],
    ),
    (
        Entity::Organization,
        &["ORG", "ORGANISATION", "CORPORATION", "COMPANY", "COMPANYNAME", "HOSP", "HOSPITAL"],
    ),
    (
        Entity::Address,
        &[
            "LOC",
            "LOCATION",
            "GPE",
            "FAC",
            "STREET",
            "STREET_ADDRESS",
            "CITY",
            "STATE",
            "COUNTY",
            "BUILDINGNUM",
        ],
    ),
    (Entity::Postcode, &["ZIP", "ZIPCODE", "ZIPCODES"]),
    (Entity::Date, &["DOB"]),
    (Entity::Phone, &["PHONE_NUM", "PHONENUMBER", "TELEPHONENUM"]),
    (Entity::Url, &["URL_PERSONAL"]),
    (Entity::Card, &["CREDITCARDNUMBER"]),
    (Entity::Ssn, &["SOCIALNUM"]),
    (Entity::Username, &["USER"]),
    (Entity::Number, &["ID", "ID_NUM", "IDCARDNUM", "ACCOUNTNUM", "TAXNUM"]),
];

/// Reads a folder.
///
/// # Errors
/// All that is wrong with it, by file.
pub(super) fn read(folder: &Path) -> Result<Described> {
    let mut wrong = Vec::new();
    let config = json(folder, "config.json", &mut wrong);
    let tokenizer = json(folder, "tokenizer.json", &mut wrong).and_then(|json| tokens(json, &mut wrong));
    let tags = config.as_ref().and_then(|config| tags(config, &mut wrong));
    let most = config.as_ref().and_then(|config| most(config, &mut wrong));
    let around = tokenizer.as_ref().and_then(|tokenizer| around(tokenizer, &mut wrong));
    let file = GRAPHS.iter().map(|name| folder.join(name)).find(|file| file.is_file());
    if file.is_none() {
        wrong.push(format!("there is no {}", GRAPHS.join(" and no ")));
    }
    let padding = config.as_ref().and_then(|c| c.get("pad_token_id")?.as_i64()).unwrap_or(0);
    match (tokenizer, tags, around, most, file) {
        (Some(tokenizer), Some(tags), Some(around), Some(most), Some(file)) if wrong.is_empty() => {
            Ok(Described { tokenizer, tags, around, padding, most, file })
        }
        _ => Err(StageError::new(format!("`{}` is no tagger: {}", folder.display(), wrong.join("; ")))
            .expected(
                "config.json, tokenizer.json and model.onnx of a BERT or DistilBERT for token classification",
            )
            .help("optimum-cli export onnx --task token-classification makes such a folder")),
    }
}

fn json(folder: &Path, name: &str, wrong: &mut Vec<String>) -> Option<Value> {
    let read = std::fs::read(folder.join(name)).map_err(|error| error.to_string());
    let parsed = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    parsed.map_err(|error| wrong.push(format!("{name} cannot be read ({error})"))).ok()
}

fn tokens(mut json: Value, wrong: &mut Vec<String>) -> Option<Tokenizer> {
    // How long a text may be and what fills a batch is said here.
    if let Some(top) = json.as_object_mut() {
        top.insert("truncation".into(), Value::Null);
        top.insert("padding".into(), Value::Null);
    }
    let built = serde_json::from_value::<Tokenizer>(json);
    built.map_err(|_| wrong.push("tokenizer.json is no tokenizer in Hugging Face's format".into())).ok()
}

/// Returns the tag of each label; none where no label stands for a kind.
fn tags(config: &Value, wrong: &mut Vec<String>) -> Option<Vec<Option<Tag>>> {
    let Some(labels) = config.get("id2label").and_then(Value::as_object) else {
        wrong.push("config.json has no id2label".into());
        return None;
    };
    let by_number = (0..labels.len()).map(|number| labels.get(&number.to_string())?.as_str());
    let Some(words) = by_number.collect::<Option<Vec<&str>>>() else {
        wrong.push(format!(
            "id2label of config.json does not name the labels 0 to {}",
            labels.len().saturating_sub(1)
        ));
        return None;
    };
    let tags: Vec<Option<Tag>> = words.iter().map(|word| tag(word)).collect();
    if tags.iter().all(Option::is_none) {
        wrong.push(format!("none of its labels stands for a kind: {}", words.join(", ")));
        return None;
    }
    Some(tags)
}

/// Returns the tag that a label stands for.
pub(super) fn tag(label: &str) -> Option<Tag> {
    let label = label.to_uppercase();
    let (begins, word) = match label.split_once('-') {
        Some(("B" | "S" | "U", word)) => (true, word),
        Some(("I" | "E" | "L", word)) => (false, word),
        _ => (false, label.as_str()),
    };
    let itself = Entity::ALL.iter().find(|kind| kind.name() == word).copied();
    let known = || WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(kind, _)| *kind);
    itself.or_else(known).map(|kind| Tag { kind, begins })
}

fn most(config: &Value, wrong: &mut Vec<String>) -> Option<usize> {
    let kind = config.get("model_type").and_then(Value::as_str).unwrap_or("not told");
    if !TYPES.contains(&kind) {
        wrong.push(format!("model_type of config.json is {kind}, expected {}", TYPES.join(" or ")));
    }
    let most = config.get("max_position_embeddings").and_then(Value::as_u64);
    let most = most.and_then(|most| usize::try_from(most).ok()).filter(|most| *most >= 4);
    if most.is_none() {
        wrong.push("max_position_embeddings of config.json is no number of tokens".into());
    }
    most
}

/// The tokens that the tokenizer puts around a text.
fn around(tokenizer: &Tokenizer, wrong: &mut Vec<String>) -> Option<(i64, i64)> {
    let encoded = tokenizer.encode("", true).ok();
    let Some([before, after]) = encoded.as_ref().map(Encoding::get_ids) else {
        wrong.push("tokenizer.json does not put one token before a text and one after it".into());
        return None;
    };
    Some((i64::from(*before), i64::from(*after)))
}
