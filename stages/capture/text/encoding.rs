//! Texts in another encoding than UTF-8: named, with what to do.
//!
//! In: bytes. Out: words. It must not know what the text is.

use headwater_contract::StageError;

use super::RecordError;

/// Why a text that begins with these bytes cannot be read at all.
pub fn refused(first: &[u8], name: &str) -> Option<StageError> {
    let order = match first {
        [0xff, 0xfe, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] => "LE",
        [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => "BE",
        _ => return None,
    };
    Some(
        StageError::new(format!("`{name}` is a text in UTF-16"))
            .expected("UTF-8")
            .help(format!("convert it: iconv -f UTF-16{order} -t UTF-8 OLD > NEW")),
    )
}

/// The mistake in a record that is not UTF-8.
pub fn not_utf8(code: &'static str, record: &[u8]) -> RecordError {
    let at = std::str::from_utf8(record).map_or_else(|error| error.valid_up_to() + 1, |_| 1);
    let what = format!(
        "it is not valid UTF-8 (at byte {at}); a text of Windows is mostly cp1252: convert it with iconv -f CP1252 -t UTF-8"
    );
    (code, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_named() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            let message = refused(bytes, "x.csv").map(|error| error.to_string());
            assert_eq!(message.is_some(), expected.is_some(), "{bytes:?}");
            let words = expected.unwrap_or_default();
            assert!(message.unwrap_or_default().contains(words), "{bytes:?}");
        };
        check(b"\xff\xfed\0", Some("`x.csv` is a text in UTF-16"));
        check(b"\xff\xfed\0", Some("-f UTF-16LE"));
        check(b"\xfe\xff\0d", Some("-f UTF-16BE"));
        check(b"d\0e\0", Some("-f UTF-16LE"));
        check(b"\0d\0e", Some("-f UTF-16BE"));
        check(b"\xef\xbb\xbfdevice", None);
        check(b"device", None);
        check(b"d\0", None);
        check(b"", None);
    }
}
