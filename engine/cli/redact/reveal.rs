//! `headwater redact reveal`: sealed values in texts become readable again, with the root key.
//!
//! In: lines with tags such as `<CARD=letters>`. Out: the lines with the values. A tag that the key does not open stays, and is counted.

use std::io::{self, BufRead, Write};
use std::path::Path;

use headwater_stages::redact::Keys;
use headwater_vault::KeyFile;

use crate::exit::Exit;

/// Reveals line by line; 0 if every sealed tag could be opened, else 1.
pub fn run(input: impl BufRead, key_file: &Path, out: &mut dyn Write) -> io::Result<Exit> {
    let unread = |error| io::Error::other(format!("the root key cannot be read: {error}"));
    let file = KeyFile::at(key_file);
    let mut keys = vec![Keys::new(file.read().map_err(unread)?.key())];
    // What was sealed before a rotation opens with the key of then.
    keys.extend(file.others().map_err(unread)?.iter().map(|(_, root)| Keys::new(root.key())));
    let mut closed = 0_u64;
    for line in input.lines() {
        writeln!(out, "{}", revealed(&line?, &keys, &mut closed))?;
    }
    if closed > 0 {
        eprintln!(
            "{closed} sealed values could not be opened: they were sealed under another key, or changed"
        );
    }
    Ok(Exit::of_mistakes(closed > 0))
}

fn revealed(line: &str, keys: &[Keys], closed: &mut u64) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let Some((body, after)) = tag.get(1..).and_then(|tag| tag.split_once('>')) else {
            out.push_str(tag);
            return out;
        };
        let sealed = body.split_once('=').filter(|(name, letters)| is_sealed(name, letters));
        let Some((name, letters)) = sealed else {
            out.push('<');
            rest = tag.get(1..).unwrap_or("");
            continue;
        };
        if let Some(value) = keys.iter().find_map(|keys| keys.reveal(name, letters)) {
            out.push_str(&value);
        } else {
            *closed += 1;
            out.push_str(tag.get(..body.len() + 2).unwrap_or(""));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_sealed(name: &str, letters: &str) -> bool {
    let capitals = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    !name.is_empty()
        && capitals
        && !letters.is_empty()
        && letters.bytes().all(|byte| (b'a'..=b'p').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_vault::Key;

    #[test]
    fn other_tags_stay_and_what_cannot_be_opened_is_counted() {
        let keys = [Keys::new(&Key::from_bytes([7; 32]))];
        let mut closed = 0;
        let line = "a <b> <CARD> <PHONE_12> <CARD=abab> x < y";
        assert_eq!(revealed(line, &keys, &mut closed), line);
        assert_eq!(closed, 1);
    }
}
