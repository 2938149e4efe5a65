//! The first bytes of a file that is no model go in; what it is, and what to do, come out.
//! A download that went wrong mostly leaves a page, a pointer or another format under the right name. Reads no file.

/// The format of a file that is not a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectedFormat {
    /// The value found.
    pub found: &'static str,
    /// The remedy for it.
    pub help: &'static str,
}

/// The number of bytes that identify a format.
pub const ENOUGH: usize = 512;

const AGAIN: &str = "fetch the file again, and compare its size and digest with the origin's";
const SAVE: &str = "save the weights as safetensors: a pickle can run any code when it is read";

/// By the first bytes of a file.
const MAGICS: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS in place of the file",
        "`git lfs pull` in that repository fetches the file itself",
    ),
    (b"lmgg", OLD, CONVERT),
    (b"fmgg", OLD, CONVERT),
    (b"tjgg", OLD, CONVERT),
    (b"algg", "an adapter in GGML, the format before GGUF", "take the adapter in PEFT's layout"),
    (b"PK\x03\x04", "a ZIP archive, as PyTorch saves pickles", SAVE),
    (b"\x80\x02", "a pickle of Python", SAVE),
    (b"\x80\x04", "a pickle of Python", SAVE),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"),
    (b"GGUF", GGUF, "give the path of the GGUF file itself as the model"),
];
const OLD: &str = "a GGML file, the format before GGUF";
const CONVERT: &str =
    "take the model as GGUF, or convert it from its folder with llama.cpp's convert_hf_to_gguf.py";

/// The expected format.
pub const GGUF: &str = "a GGUF file";
/// The expected format.
pub const SAFETENSORS: &str = "a safetensors file";
/// The expected format.
pub const JSON: &str = "a JSON object";

/// The format of an unexpected file; none where its first bytes do not identify one.
pub fn named(first: &[u8], expected: &str) -> Option<DetectedFormat> {
    any(first, expected != JSON).filter(|detected_format| detected_format.found != expected)
}

fn any(first: &[u8], binary: bool) -> Option<DetectedFormat> {
    let of = |found, help| Some(DetectedFormat { found, help });
    if first.is_empty() {
        return of("an empty file", AGAIN);
    }
    if let Some((_, found, help)) = MAGICS.iter().find(|(magic, ..)| first.starts_with(magic)) {
        return of(found, help);
    }
    // A safetensors file begins with the length of its header, which is JSON.
    if first.get(8) == Some(&b'{') && first.get(4..8) == Some(&[0; 4]) {
        return of(SAFETENSORS, "give the folder that holds it, with config.json and tokenizer.json");
    }
    let text = first.trim_ascii_start();
    if text.first() == Some(&b'<') {
        let help = "the link led to a page about the file: on Hugging Face, `/resolve/` in place of `/blob/` is the file";
        return of("a web page", help);
    }
    let is_text = || first.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if binary && is_text() { of("a text, perhaps a server's refusal", AGAIN) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_named() {
        let check = |first: &[u8], expected: Option<&str>| {
            assert_eq!(
                named(first, "a model").map(|detected_format| detected_format.found),
                expected,
                "{first:?}"
            );
        };
        check(b"", Some("an empty file"));
        check(b"<!doctype html>\n<html><head>", Some("a web page"));
        check(b"\r\n  <HTML lang=en>", Some("a web page"));
        check(b"<?xml version='1.0'?><Error>", Some("a web page"));
        check(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:cd",
            Some("a pointer of Git LFS in place of the file"),
        );
        check(b"tjgg\x03\0\0\0", Some("a GGML file, the format before GGUF"));
        check(b"lmgg\x01\0\0\0", Some("a GGML file, the format before GGUF"));
        check(b"PK\x03\x04\0\0", Some("a ZIP archive, as PyTorch saves pickles"));
        check(b"\x80\x02}q\0", Some("a pickle of Python"));
        check(b"GGUF\x03\0\0\0", Some("a GGUF file"));
        check(b"\x40\0\0\0\0\0\0\0{\"a\": 1", Some("a safetensors file"));
        check(b"Invalid username or password.", Some("a text, perhaps a server's refusal"));
        check(b"\x01\x02\x03\x04", None);
        check(b"\xff", None);
        assert_eq!(named(b"GGUF\x03", GGUF), None);
        assert_eq!(named(b"\x40\0\0\0\0\0\0\0{", SAFETENSORS), None);
        assert_eq!(named(b"{\"a\": ,}", JSON), None);
        assert_eq!(named(b"<html>", JSON).map(|detected_format| detected_format.found), Some("a web page"));
    }
}
