//! Tags as operators write them: what stands in a redacted text in place of a value.
//!
//! In: the rest of a text. Out: the tag at its start. It must not know who wrote it.

use super::kind::Entity;

/// The longest tag that is read: one with an encrypted value.
const LONGEST_TAG: usize = 4096;
/// Digits of the number in `<PERSON_12>`: as many as a pseudonym has.
const TAG_DIGITS: std::ops::RangeInclusive<usize> = 1..=8;

/// The tag at the start of `rest` as an operator writes it, and its length: `<PERSON>`, `<PERSON_12>`, `<PERSON:letters>` or
/// `<PERSON=letters>`. Letters are a to p alone, so that nothing can be hidden in what looks like a tag.
pub fn leading_tag(rest: &str, names: &[String]) -> Option<(Entity, usize)> {
    let body = rest.strip_prefix('<')?;
    let name = body.bytes().take_while(|byte| byte.is_ascii_uppercase() || *byte == b'_').count();
    let (name, rest) = (body.get(..name)?, body.get(name..)?);
    let (name, digits) = match name.strip_suffix('_') {
        Some(name) => (name, rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => (name, 0),
    };
    let custom = || names.iter().any(|custom| custom == name).then_some(Entity::Custom);
    let kind = Entity::ALL.iter().copied().find(|entity| entity.name() == name).or_else(custom)?;
    let rest_at = body.len() - rest.len();
    let end = match rest.bytes().next()? {
        b'>' if rest_at == name.len() => 0,
        b'0'..=b'9' if TAG_DIGITS.contains(&digits) => digits,
        b':' | b'=' if rest_at == name.len() => {
            let letters =
                rest.bytes().skip(1).take(LONGEST_TAG).take_while(|byte| matches!(byte, b'a'..=b'p'));
            1 + letters.count()
        }
        _ => return None,
    };
    (rest.as_bytes().get(end) == Some(&b'>')).then_some((kind, 1 + rest_at + end + 1))
}
