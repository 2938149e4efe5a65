//! `${x}` inside a string.

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Text as it is.
    Text(&'t str),
    /// `${name}`.
    Use(&'t str),
    /// `${` without its end.
    Open,
}

/// A string taken apart at its placeholders. `$${` stands for a literal `${`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template<'t> {
    pub(super) pieces: Vec<Piece<'t>>,
}

impl<'t> Template<'t> {
    pub(super) fn parse(text: &'t str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                pieces.extend([Piece::Text(before), Piece::Text("${")]);
                rest = after;
                continue;
            }
            pieces.push(Piece::Text(before));
            let Some((name, after)) = after.split_once('}') else {
                pieces.push(Piece::Open);
                rest = after;
                break;
            };
            pieces.push(Piece::Use(name));
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        pieces.retain(|piece| *piece != Piece::Text(""));
        Template { pieces }
    }

    /// The names it uses.
    pub(super) fn uses(&self) -> impl Iterator<Item = &'t str> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Use(name) => Some(*name),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Piece::{Open, Text, Use};
    use super::*;

    #[test]
    fn placeholders_are_found() {
        let check = |text: &str, expected: &[Piece<'_>]| {
            assert_eq!(Template::parse(text).pieces, expected, "{text}");
        };
        check("", &[]);
        check("plain $ {x}", &[Text("plain $ {x}")]);
        check("${x}", &[Use("x")]);
        check("a/${x}/b${y}", &[Text("a/"), Use("x"), Text("/b"), Use("y")]);
        check("$${x}", &[Text("${"), Text("x}")]);
        check("a${x", &[Text("a"), Open, Text("x")]);
        check("${}", &[Use("")]);
    }
}
