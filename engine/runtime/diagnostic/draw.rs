//! Diagnostics drawn as rustc draws its own.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::position::clamp;
use super::{Diagnostic, Mark, Place, Severity};

/// True if the drawing is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Plain text: not a terminal.
    #[default]
    Plain,
    /// Colours of a terminal.
    Coloured,
}

/// Draws diagnostics one below the other, each with the lines of the file that it speaks of.
pub fn render(diagnostics: &[Diagnostic], file_name: &str, text: &str, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let file = File { name: file_name, text };
    diagnostics.iter().map(|d| renderer.render(&file.report(d)) + "\n\n").collect()
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> File<'a> {
    fn report(&self, diagnostic: &'a Diagnostic) -> Vec<Group<'a>> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let caption = Mark { place: diagnostic.primary.place.clone(), text: diagnostic.caption() };
        let marks = std::iter::once((AnnotationKind::Primary, caption))
            .chain(diagnostic.secondary.iter().map(|m| (AnnotationKind::Context, m.clone())));
        let mut group = level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code)
            .elements(self.snippets(marks));
        for note in &diagnostic.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![group];
        if let Some(suggestion) = &diagnostic.suggestion {
            let patch = Patch::new(clamp(self.text, &suggestion.span), suggestion.replacement.as_str());
            let snippet = Snippet::source(self.text).path(self.name).patch(patch);
            groups.push(Level::HELP.secondary_title(suggestion.text.as_str()).element(snippet));
        }
        groups
    }

    /// One snippet for all marks in the file, and one for each argument of the command line; the primary one first.
    fn snippets(
        &self,
        marks: impl Iterator<Item = (AnnotationKind, Mark)>,
    ) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let mut snippets = Vec::new();
        let mut in_file = None;
        for (kind, mark) in marks {
            let label = (!mark.text.is_empty()).then_some(mark.text);
            match mark.place {
                Place::File(span) => {
                    let annotation = kind.span(clamp(self.text, &span)).label(label);
                    let at = *in_file.get_or_insert_with(|| {
                        snippets.push(Snippet::source(self.text).path(self.name));
                        snippets.len() - 1
                    });
                    if let Some(snippet) = snippets.get_mut(at) {
                        *snippet = snippet.clone().annotation(annotation);
                    }
                }
                Place::Argument { text, span } => {
                    let annotation = kind.span(clamp(&text, &span)).label(label);
                    snippets.push(
                        Snippet::source(text)
                            .path("command line")
                            .line_numbering(false)
                            .annotation(annotation),
                    );
                }
            }
        }
        snippets
    }
}
