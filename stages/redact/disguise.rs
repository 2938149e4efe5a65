//! A text as it is meant: entities of HTML read, and addresses that were made unusable on purpose ("hxxp", "[.]", "{at}") usable.
//!
//! In: a text. Out: what it says, and where each piece of that stood in the text; nothing where nothing was disguised. It must not know
//! what an address is for.

/// A text without its disguise.
#[derive(Debug, Default)]
pub struct Plain {
    /// The text in plain characters.
    pub text: String,
    /// The ends of pieces that were written otherwise: in [`Plain::text`], and in the original.
    ends: Vec<(usize, usize)>,
    /// Their starts.
    starts: Vec<(usize, usize)>,
}

impl Plain {
    /// The text without its disguise, if it has one.
    pub fn of(text: &str) -> Option<Self> {
        let mut plain = Self::default();
        let (mut from, mut at) = (0, 0);
        let bytes = text.as_bytes();
        while let Some(next) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|byte| may_disguise(*byte)))
        {
            // The blank before a bracket belongs to it.
            let sign = at + next;
            let bracket = matches!(bytes.get(sign), Some(b'[' | b'(' | b'{' | b'<' | b'-'));
            let blank = bracket && sign > from && bytes.get(sign - 1) == Some(&b' ');
            let start = sign - usize::from(blank);
            let Some(piece) = piece_at(text, start) else {
                at = sign + 1;
                continue;
            };
            plain.text.push_str(text.get(from..start).unwrap_or(""));
            plain.starts.push((plain.text.len(), start));
            plain.text.push_str(&piece.says);
            (from, at) = (piece.end, piece.end);
            plain.ends.push((plain.text.len(), piece.end));
        }
        if from == 0 {
            return None;
        }
        plain.text.push_str(text.get(from..).unwrap_or(""));
        Some(plain)
    }

    /// Returns the place in the original of a value that is here from `start` to `end`.
    pub fn original(&self, start: usize, end: usize) -> (usize, usize) {
        // A value that begins inside of a piece begins with the whole of it, and one that ends inside ends with it.
        let before = self.ends.partition_point(|(here, _)| *here <= start);
        let begin = match self.starts.get(before) {
            Some(&(here, there)) if here <= start => there,
            _ => shifted(before.checked_sub(1).and_then(|last| self.ends.get(last)), start),
        };
        let inside = self.starts.partition_point(|(here, _)| *here < end);
        let finish = match inside.checked_sub(1).and_then(|last| self.ends.get(last)) {
            Some(&(here, there)) if end <= here => there,
            known => shifted(known, end),
        };
        (begin, finish)
    }
}

fn shifted(known: Option<&(usize, usize)>, offset: usize) -> usize {
    known.map_or(offset, |(here, there)| there + (offset - here))
}

/// Returns true if a piece that is written otherwise may begin with a byte.
#[inline]
const fn may_disguise(byte: u8) -> bool {
    matches!(byte, b'&' | b'[' | b'(' | b'{' | b'<' | b'*' | b'\\' | b'_' | b'-')
}

/// The plain form of a piece of a text, and its end.
struct Piece {
    says: String,
    end: usize,
}

fn piece_at(text: &str, start: usize) -> Option<Piece> {
    match text.as_bytes().get(start)? {
        b'&' => entity(text, start),
        b'-' => hyphened(text, start),
        b' ' if text.as_bytes().get(start + 1) == Some(&b'-') => hyphened(text, start),
        b'[' | b'(' | b'{' | b'<' | b' ' => bracketed(text, start),
        b'*' => starred(text, start),
        b'_' => underlined(text, start),
        b'\\' => escaped(text, start),
        _ => None,
    }
}

/// "&#43;", "&#x2B;", "&commat;".
fn entity(text: &str, start: usize) -> Option<Piece> {
    const LONGEST: usize = 10;
    let rest = text.get(start + 1..)?;
    let length = rest.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = rest.get(..length)?;
    let says = match name.strip_prefix('#') {
        Some(code) => {
            let hexadecimal = code.strip_prefix(['x', 'X']);
            let code =
                hexadecimal.map_or_else(|| code.parse().ok(), |code| u32::from_str_radix(code, 16).ok())?;
            char::from_u32(code)?
        }
        None => NAMES.iter().find(|(known, _)| *known == name).map(|(_, says)| *says)?,
    };
    // A soft hyphen and marks of no width are nothing; a tag must not come of what was no tag.
    let says = match says {
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => String::new(),
        '<' | '>' => " ".to_owned(),
        says => says.to_string(),
    };
    Some(Piece { says, end: start + length + 2 })
}

/// The names of entities that stand in numbers and addresses.
const NAMES: &[(&str, char)] = &[
    ("nbsp", ' '),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("numsp", ' '),
    ("puncsp", ' '),
    ("hairsp", ' '),
    ("Tab", ' '),
    ("NewLine", ' '),
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("commat", '@'),
    ("period", '.'),
    ("plus", '+'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("ndash", '-'),
    ("mdash", '-'),
    ("minus", '-'),
    ("shy", '\u{ad}'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("semi", ';'),
    ("comma", ','),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("lpar", '('),
    ("rpar", ')'),
    ("num", '#'),
    ("ast", '*'),
    ("midast", '*'),
    ("equals", '='),
    ("quest", '?'),
    ("excl", '!'),
    ("percnt", '%'),
    ("dollar", '$'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
    ("ZeroWidthSpace", '\u{200b}'),
    ("lsqb", '['),
    ("rsqb", ']'),
    ("lbrack", '['),
    ("rbrack", ']'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("ntilde", 'ñ'),
    ("aring", 'å'),
    ("oslash", 'ø'),
    ("aelig", 'æ'),
    ("rsquo", '’'),
];

/// "[.]", " [dot] ", "{at}", "<at>", "[:]", "[://]" between letters or digits, with the white space around it.
fn bracketed(text: &str, start: usize) -> Option<Piece> {
    const LONGEST: usize = 12;
    let bytes = text.as_bytes();
    let open = start + usize::from(bytes.get(start) == Some(&b' '));
    let close = match bytes.get(open)? {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
        b'<' => b'>',
        _ => return None,
    };
    let solid = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
    let before = start.checked_sub(1).and_then(|last| bytes.get(last));
    if !(solid(before) || matches!(before, Some(b':' | b'_'))) {
        return None;
    }
    let length = bytes.get(open + 1..)?.iter().take(LONGEST).position(|byte| *byte == close)?;
    let mut inner = text.get(open + 1..open + 1 + length)?.trim();
    let mut end = open + length + 2;
    // "[[at]]"
    if inner.starts_with(char::from(*bytes.get(open)?)) && bytes.get(end) == Some(&close) {
        (inner, end) = (inner.get(1..)?, end + 1);
    }
    let says = match inner {
        "." | "," => ".",
        "@" => "@",
        ":" | "://" | "/" | "//" | ":/" => inner,
        word if is_one_of(word, &["dot", "punkt", "punto", "point", "d0t", "d"]) => ".",
        word if is_one_of(word, &["at", "ät", "arroba", "chiocciola", "a", "æt", "et"]) => "@",
        _ => return None,
    };
    let spaced = usize::from(bytes.get(end) == Some(&b' '));
    let next = end + spaced;
    if matches!(says, "." | "@") && !solid(bytes.get(next)) {
        return None;
    }
    let apart = open > start || spaced > 0;
    // "Meet me (at) the park": an at sign has a domain behind it.
    if says == "@" && !has_dot(text.get(next..)?) {
        return None;
    }
    if apart && says != "@" && says != "." {
        return None;
    }
    Some(Piece { says: says.to_owned(), end: next })
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Returns true if a name with a dot begins a text, however the dot is written.
fn has_dot(text: &str) -> bool {
    let end = text
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80))
        .unwrap_or(text.len());
    let rest = text.get(end..).unwrap_or("");
    // "example-dot-com": hyphens belong to a label, too.
    let hyphened = text.get(..end).is_some_and(|label| label.to_ascii_lowercase().contains("-dot-"));
    let trimmed = rest.trim_start_matches([' ', '[', '(', '{', '<', '_', '-']);
    let opened = trimmed.len() < rest.len();
    let word = |word: &str| trimmed.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    end > 0
        && (hyphened
            || rest.starts_with('.')
                && rest.as_bytes().get(1).copied().is_some_and(|byte| byte.is_ascii_alphanumeric())
            || opened && (trimmed.starts_with('.') || word("dot") || word("punkt") || word("punto")))
}

/// "jo_at_example_dot_com".
fn underlined(text: &str, start: usize) -> Option<Piece> {
    let rest = text.get(start..)?;
    let is = |word: &str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    let says = |says: &str, length: usize| Some(Piece { says: says.to_owned(), end: start + length });
    match () {
        () if is("_dot_") => says(".", 5),
        () if is("_at_") && has_dot(rest.get(4..)?) => says("@", 4),
        () => None,
    }
}

/// "jo-at-example-dot-com", "jo -at- example -dot- com".
fn hyphened(text: &str, start: usize) -> Option<Piece> {
    let rest = text.get(start..)?;
    let after = |sign: &str| {
        let begin = rest.get(..sign.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(sign));
        begin.then(|| rest.get(sign.len()..)).flatten()
    };
    let at = after("-at-")
        .or_else(|| after(" -at- "))
        .filter(|domain| has_dot(domain))
        .map(|domain| ("@", domain));
    let dot = || after("-dot-").or_else(|| after(" -dot- ")).map(|label| (".", label));
    let (says, next) = at.or_else(dot)?;
    next.starts_with(char::is_alphanumeric)
        .then(|| Piece { says: says.to_owned(), end: text.len() - next.len() })
}

/// "h**p://".
fn starred(text: &str, start: usize) -> Option<Piece> {
    let before = text.as_bytes().get(start.checked_sub(1)?)?;
    let rest = text.get(start..)?;
    let scheme = ["**p://", "**ps://", "*tp://", "*tps://"].iter().any(|known| rest.starts_with(known));
    (matches!(before, b'h' | b'H') && scheme).then(|| {
        let stars = rest.bytes().take_while(|byte| *byte == b'*').count();
        Piece { says: "t".repeat(stars), end: start + stars }
    })
}

/// "example\.com".
fn escaped(text: &str, start: usize) -> Option<Piece> {
    let bytes = text.as_bytes();
    let solid = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = solid(start.checked_sub(1).and_then(|last| bytes.get(last))) && solid(bytes.get(start + 2));
    (bytes.get(start + 1) == Some(&b'.') && inner).then(|| Piece { says: ".".to_owned(), end: start + 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_disguised_is_read() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(Plain::of(text).map(|plain| plain.text).as_deref(), expected, "{text}");
        };
        check("&#43;1 415&nbsp;555", Some("+1 415 555"));
        check("&#x2B;1 jo&commat;example.com", Some("+1 jo@example.com"));
        check("jo [at] example [dot] com", Some("jo@example.com"));
        check("jo{at}example.com", Some("jo@example.com"));
        check("hxxp[:]//a[.]b(dot)c", Some("hxxp://a.b.c"));
        check("h**ps://a.b", Some("https://a.b"));
        check("10[.]0[.]0[.]1", Some("10.0.0.1"));
        check("jo-at-example-dot-com", Some("jo@example.com"));
        check("jo -at- example -dot- com", Some("jo@example.com"));
        check("a stay-at-home job - at last", None);
        check("I met him (at) the pub", None);
        check("R & D, (dot), a[1], &nosuch; f(x)", None);
        check("&lt;PHONE&gt;", Some(" PHONE "));
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "ö &#43;1 415&nbsp;555 x";
        let plain = Plain::of(text).unwrap();
        let value = "+1 415 555";
        let start = plain.text.find(value).unwrap();
        let (from, to) = plain.original(start, start + value.len());
        assert_eq!(&text[from..to], "&#43;1 415&nbsp;555");
        assert_eq!(plain.original(0, 2), (0, 2));
        let (from, to) = plain.original(plain.text.len() - 1, plain.text.len());
        assert_eq!(&text[from..to], "x");
    }
}
