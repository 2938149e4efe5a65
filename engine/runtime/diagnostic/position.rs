//! Where a byte of a text is, as people count: lines and columns from 1.

use super::Span;

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The position of a byte; one past the end of the text is the end of the text.
pub fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..boundary(text, offset)).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
    }
}

/// The nearest character boundary at or before a byte.
fn boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A span made safe to draw: within the text, at character boundaries, of one line when it would be endless.
pub(super) fn clamp(text: &str, span: &Span) -> Span {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let check = |text: &str, offset: usize, line: usize, column: usize| {
            assert_eq!(position(text, offset), Position { line, column }, "{text:?} {offset}");
        };
        check("", 0, 1, 1);
        check("ab\ncd", 0, 1, 1);
        check("ab\ncd", 2, 1, 3);
        check("ab\ncd", 3, 2, 1);
        check("ab\ncd", 99, 2, 3);
        check("é = 1", 3, 1, 3);
        check("é = 1", 1, 1, 1);
    }
}
