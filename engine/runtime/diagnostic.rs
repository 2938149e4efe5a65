//! The mistakes in a pipeline file, and their places.
//!
//! In: what the check finds. Out: diagnostics as values, drawn for people ([`render`]) or written for tools ([`to_json`]).
//! It must not know what the mistakes are about: codes and words come from outside.

mod draw;
mod json;
mod position;

pub use draw::{Style, render};
pub use json::to_json;
pub use position::{Position, position};

/// Bytes of the pipeline file, from start to before end.
pub type Span = std::ops::Range<usize>;

/// True if a pipeline can run in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It can run, but hardly as meant.
    Warning,
}

impl Severity {
    /// The severity's word.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A place that a diagnostic speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// These bytes of the file.
    File(Span),
    /// These bytes of an argument of the command line: `--set stage.asr.threads=0`.
    Argument {
        /// The whole argument.
        text: String,
        /// The bytes of it that are meant.
        span: Span,
    },
}

impl Place {
    /// The whole of a command-line argument.
    pub fn argument(text: impl Into<String>) -> Self {
        let text = text.into();
        let span = 0..text.len();
        Place::Argument { text, span }
    }
}

/// A place and what is to be said there; an empty text only underlines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where.
    pub place: Place,
    /// The message.
    pub text: String,
}

/// An edit of the file that would remove the mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Its effect, as a sentence: "did you mean `model`?".
    pub text: String,
    /// The bytes that are replaced.
    pub span: Span,
    /// The text that replaces the old one.
    pub replacement: String,
}

/// One thing that is wrong with a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its code: `H0203`. `headwater explain` knows each.
    pub code: &'static str,
    /// True if the pipeline can run in spite of it.
    pub severity: Severity,
    /// The problem, in one line.
    pub message: String,
    /// Where it is wrong.
    pub primary: Mark,
    /// The expected value.
    pub expected: Option<String>,
    /// Other places that have to do with it.
    pub secondary: Vec<Mark>,
    /// Further notes.
    pub notes: Vec<String>,
    /// The remedy, in words.
    pub help: Option<String>,
    /// The remedy, as an edit.
    pub suggestion: Option<Suggestion>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: Mark { place, text: String::new() },
            expected: None,
            secondary: Vec::new(),
            notes: Vec::new(),
            help: None,
            suggestion: None,
        }
    }

    /// An error at some bytes of the file.
    pub fn at(code: &'static str, message: impl Into<String>, span: &Span) -> Self {
        Diagnostic::error(code, message, Place::File(span.clone()))
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Adds a label at the place itself.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// The expected value.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// One more place in the file that has to do with it.
    pub fn also(self, span: &Span, text: impl Into<String>) -> Self {
        self.also_at(Place::File(span.clone()), text)
    }

    /// One more place that has to do with it.
    pub fn also_at(mut self, place: Place, text: impl Into<String>) -> Self {
        self.secondary.push(Mark { place, text: text.into() });
        self
    }

    /// Something else worth knowing.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds a remedy, in words.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds a remedy, as an edit of the file.
    pub fn suggest(mut self, text: impl Into<String>, span: &Span, replacement: impl Into<String>) -> Self {
        let (text, replacement) = (text.into(), replacement.into());
        self.suggestion = Some(Suggestion { text, span: span.clone(), replacement });
        self
    }

    /// Returns true if the pipeline cannot run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Where it begins in the file; what was said on the command line comes after all of the file.
    pub fn start(&self) -> usize {
        match &self.primary.place {
            Place::File(span) => span.start,
            Place::Argument { .. } => usize::MAX,
        }
    }

    /// Returns the label that is drawn at the place itself: what it is, and what it should be.
    pub fn caption(&self) -> String {
        match (self.primary.text.as_str(), &self.expected) {
            (text, None) => text.into(),
            ("", Some(expected)) => format!("expected {expected}"),
            (text, Some(expected)) => format!("{text}; expected {expected}"),
        }
    }
}

/// Returns the numbers of errors and warnings.
pub fn count(diagnostics: &[Diagnostic]) -> (usize, usize) {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    (errors, diagnostics.len() - errors)
}
