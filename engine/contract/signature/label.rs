//! The privacy of rows, and how it follows from one port to the next: labels of inputs in, the label of an output out. It knows no
//! data.

use std::fmt;

/// The privacy label of rows. Ordered: raw is the most private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Public.
    Public,
    /// One device's change of an adapter.
    Update,
    /// Text with the personal data taken out.
    Redacted,
    /// Captured data, unchanged.
    Raw,
}

impl Label {
    /// All labels, from the most private down.
    pub const ALL: [Label; 4] = [Label::Raw, Label::Redacted, Label::Update, Label::Public];

    /// The label's word.
    pub fn name(self) -> &'static str {
        match self {
            Label::Public => "public",
            Label::Update => "update",
            Label::Redacted => "redacted",
            Label::Raw => "raw",
        }
    }
}

impl std::str::FromStr for Label {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Label::ALL.into_iter().find(|label| label.name() == word);
        known.ok_or_else(|| format!("there is no label {word:?}; expected raw, redacted, update or public"))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The rule by which an output's label follows from the labels of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelRule {
    /// The most private of the inputs' labels. A source, which has no input, gives `raw`.
    Inherit,
    /// A redactor: raw becomes redacted; anything else stays. It must redact every text column, and what is neither text,
    /// number nor time passes only if the signature names it.
    Redactor,
    /// A trainer: redacted becomes update; anything else stays.
    Trainer,
    /// The root aggregate: update becomes public; anything else stays.
    RootAggregate,
    /// A source of rows that had this label when they were recorded. The source that declares it must check this before
    /// anything runs.
    Recorded(Label),
}

impl LabelRule {
    /// The output's label for inputs of these labels.
    pub fn apply(self, inputs: impl IntoIterator<Item = Label>) -> Label {
        let unknown = if let LabelRule::Recorded(label) = self { label } else { Label::Raw };
        let highest = inputs.into_iter().max().unwrap_or(unknown);
        match (self, highest) {
            (LabelRule::Redactor, Label::Raw) => Label::Redacted,
            (LabelRule::Trainer, Label::Redacted) => Label::Update,
            (LabelRule::RootAggregate, Label::Update) => Label::Public,
            (_, label) => label,
        }
    }
}
