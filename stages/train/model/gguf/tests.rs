//! Files that are written byte by byte, whole and broken.

use proptest::prelude::*;

use super::*;

/// Writes the bytes of a GGUF file.
#[derive(Clone, Default)]
struct Build {
    values: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: Vec<u8>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Build {
    fn value(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        self.values.push([&text(key), &kind.to_le_bytes()[..], bytes].concat());
        self
    }

    /// `dims` as on file: the innermost first.
    fn tensor(mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let dims_bytes: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
        let count = u32::try_from(dims.len()).unwrap().to_le_bytes();
        let (kind, offset) = (kind.to_le_bytes(), offset.to_le_bytes());
        self.tensors.push([&text(name)[..], &count, &dims_bytes, &kind, &offset].concat());
        self
    }

    fn data(mut self, bytes: &[u8]) -> Self {
        self.data.extend_from_slice(bytes);
        self
    }

    fn bytes(&self, version: u32) -> Vec<u8> {
        let mut out = [&b"GGUF"[..], &version.to_le_bytes()].concat();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.values.len() as u64).to_le_bytes());
        out.extend(self.values.concat());
        out.extend(self.tensors.concat());
        if !self.tensors.is_empty() {
            out.resize(out.len().next_multiple_of(32), 0);
        }
        out.extend(&self.data);
        out
    }
}

fn array(kind: u32, count: u64, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat()
}

fn read(bytes: &[u8]) -> Result<Header, (String, ReadError)> {
    Header::read(&mut &*bytes, bytes.len() as u64)
}

#[test]
fn values_of_all_types_are_read() {
    let check = |kind: u32, bytes: &[u8], expected: Value| {
        for version in [2, 3] {
            let header = read(&Build::default().value("k", kind, bytes).bytes(version)).unwrap();
            assert_eq!(header.metadata.get("k"), Some(&expected), "type {kind}");
        }
    };
    check(0, &[200], Value::U64(200));
    check(1, &[0xff], Value::I64(-1));
    check(2, &[1, 2], Value::U64(0x201));
    check(3, &[0xfe, 0xff], Value::I64(-2));
    check(4, &7u32.to_le_bytes(), Value::U64(7));
    check(5, &(-7i32).to_le_bytes(), Value::I64(-7));
    check(6, &1.5f32.to_le_bytes(), Value::F64(1.5));
    check(7, &[1], Value::Bool(true));
    check(8, &text("Ġt"), Value::Text("Ġt".into()));
    check(10, &u64::MAX.to_le_bytes(), Value::U64(u64::MAX));
    check(11, &i64::MIN.to_le_bytes(), Value::I64(i64::MIN));
    check(12, &0.1f64.to_le_bytes(), Value::F64(0.1));
    let texts = array(8, 2, &[text("a"), text("")].concat());
    check(9, &texts, Value::Array(Array::Texts(vec!["a".into(), "".into()])));
    check(
        9,
        &array(9, 1, &texts),
        Value::Array(Array::Arrays(vec![Array::Texts(vec!["a".into(), "".into()])])),
    );
    let numbers =
        Value::Array(Array::Numbers { kind: Kind::I32, bytes: vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff] });
    check(9, &array(5, 2, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), numbers.clone());
    assert_eq!(numbers.as_integers(), Some(vec![1, -1]));
}

#[test]
fn tensors_are_found() {
    let build = Build::default().tensor("a", &[32, 2], 2, 0).tensor("b", &[3], 0, 64).data(&[0; 76]);
    let header = read(&build.bytes(3)).unwrap();
    let b = &header.tensors["b"];
    assert_eq!((header.tensors["a"].shape.as_slice(), b.shape.as_slice()), (&[2, 32][..], &[3][..]));
    assert_eq!(header.tensors["a"].stored, TensorType::Supported(Dtype::Q4_0));
    assert_eq!(b.start, header.tensors["a"].start + 64);
}

#[test]
fn broken_files_are_told() {
    let check = |bytes: &[u8], item: &str, found: &str, expected: &str| {
        let (at, bad) = read(bytes).unwrap_err();
        assert_eq!(at, item, "{bad:?}");
        assert!(bad.found.contains(found), "{bad:?}");
        assert!(bad.expected.contains(expected), "{bad:?}");
    };
    let new = Build::default;
    check(b"", "", "the end of the file at byte 0", "more bytes");
    check(b"GGML\0\0\0\0", "", "[47, 47, 4d, 4c]", "47 47 55 46");
    check(&new().bytes(1), "", "version 1, of 2023", "version 2 or 3");
    check(&new().bytes(4), "", "version 4", "version 2 or 3");
    let part = |no: u16, count: u16| {
        new().value("split.no", 2, &no.to_le_bytes()).value("split.count", 2, &count.to_le_bytes()).bytes(3)
    };
    check(&part(1, 3), "split.count", "part 2 of 3 of a model", "a model in one file");
    assert!(read(&part(0, 1)).is_ok());
    check(&new().bytes(3u32.swap_bytes()), "", "a big-endian file", "little-endian");
    let mut greedy = new().bytes(3);
    greedy[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    check(&greedy, "", "18446744073709551615 tensors announced", "at most 0 in the 8 bytes");
    check(&new().value("k", 13, &[0]).bytes(3), "k", "a value of type 13", "0 to 12");
    check(&new().value("k", 7, &[2]).bytes(3), "k", "2 as a truth value", "0 or 1");
    check(
        &new().value("k", 8, &u64::MAX.to_le_bytes()).bytes(3),
        "k",
        "bytes of text announced",
        "at most 0",
    );
    check(&new().value("k", 8, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff]).bytes(3), "k", "no UTF-8", "text");
    check(&new().value("k", 9, &array(4, 1 << 62, &[])).bytes(3), "k", "elements announced", "at most 0");
    check(&new().value("k", 4, &[0; 4]).value("k", 4, &[0; 4]).bytes(3), "k", "a second time", "once");
    let deep = (0..9).fold(array(0, 0, &[]), |inner, _| array(9, 1, &inner));
    check(&new().value("k", 9, &deep).bytes(3), "k", "arrays in arrays", "at most 4 levels");
    let odd = new().value("general.alignment", 4, &3u32.to_le_bytes());
    check(&odd.bytes(3), "general.alignment", "3", "a power of two");
    let one = |dims: &[u64], kind, offset| new().tensor("w", dims, kind, offset).data(&[0; 64]).bytes(3);
    check(&one(&[1; 5], 0, 0), "w", "5 dimensions", "at most 4");
    check(&one(&[0], 0, 0), "w", "a dimension of 0", "at least 1");
    check(&one(&[16, 2], 8, 0), "w", "shape [2, 16] in Q8_0", "blocks of 32");
    check(&one(&[1 << 62, 8], 0, 0), "w", "in F32", "whole blocks");
    check(&one(&[4], 0, 8), "w", "offset 8", "a multiple of 32");
    check(&one(&[17], 0, 0), "w", "a file of 128 bytes", "at least 132 bytes");
    check(&one(&[1], 0, u64::MAX - 31), "w", "a file of", "4 bytes from byte");
    let twice = new().tensor("w", &[4], 0, 0).tensor("w", &[4], 0, 32).data(&[0; 64]);
    check(&twice.bytes(3), "w", "a second time", "once");
    let over = new().tensor("v", &[9], 0, 0).tensor("w", &[4], 0, 32).data(&[0; 64]);
    check(&over.bytes(3), "w", "where v ends", "bytes of its own");
}

#[test]
fn a_file_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let messages = Gguf::open(&folder.path().join("m.gguf")).unwrap_err().to_string();
    assert!(messages.starts_with("m.gguf: found it cannot be read"), "{messages}");
    let messages = Gguf::open(folder.path()).unwrap_err().to_string();
    assert!(messages.contains("not a file"), "{messages}");
    let check = |bytes: &[u8], expected: &str| {
        let path = folder.path().join("m.gguf");
        std::fs::write(&path, bytes).unwrap();
        let messages = Gguf::open(&path).unwrap_err().to_string();
        assert!(
            messages.starts_with(&format!("m.gguf: {expected}")) && messages.contains(" (help: "),
            "{messages}"
        );
    };
    check(b"", "found an empty file; expected a GGUF file");
    check(b"<!doctype html>\n<html>", "found a web page; expected a GGUF file");
    check(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:cd\nsize 98362432\n",
        "found a pointer of Git LFS in place of the file; expected a GGUF file",
    );
    check(b"tjgg\x03\0\0\0\0\0", "found a GGML file, the format before GGUF");
    check(b"\x10\0\0\0\0\0\0\0{\"__metadata__\"", "found a safetensors file; expected a GGUF file");
    check(&Build::default().bytes(1), "found version 1, of 2023");
    check(&Build::default().bytes(4), "found version 4; expected version 2 or 3");
    check(
        &Build::default().bytes(3u32.swap_bytes()),
        "found a big-endian file; expected a little-endian one",
    );
    let whole = sample();
    check(&whole[..whole.len() - 1], "c: found a file of");
    check(&whole[..whole.len() - 100], "a, b, c: found a file of");
    check(&whole[..100], "n: found 3 elements announced");
    check(&whole[..30], "found 3 tensors announced");
    let split = Build::default().value("split.count", 2, &[3, 0]).bytes(3);
    check(&split, "split.count: found part 1 of 3 of a model; expected a model in one file");
}

fn sample() -> Vec<u8> {
    let numbers = array(5, 3, &[1; 12]);
    let build = Build::default().value("general.architecture", 8, &text("llama")).value("n", 9, &numbers);
    let build = build.value("t", 9, &array(8, 2, &[text("ab"), text("c")].concat())).value("x", 6, &[0; 4]);
    let build = build.tensor("a", &[32, 2], 3, 0).tensor("b", &[32], 8, 64).tensor("c", &[5], 30, 128);
    build.data(&[7; 138]).bytes(3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn mutated_bytes_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        words in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..2),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = sample();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (at, word) in words {
            let at = at.index(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fuzz(&bytes);
    }

    #[test]
    fn any_bytes_never_panic(rest in prop::collection::vec(any::<u8>(), 0..200), whole: bool) {
        let start: &[u8] = if whole { b"GGUF\x03\0\0\0" } else { b"" };
        fuzz(&[start, &rest].concat());
    }
}

#[test]
fn the_sample_of_the_mutations_is_whole() {
    assert_eq!(read(&sample()).unwrap().tensors.len(), 3);
}
