//! A GGUF file, version 2 or 3, goes in; its metadata, and its tensors by name, come out. Knows the container and no
//! architecture: names and numbers mean nothing here. Format: `ggml/docs/gguf.md`.
//!
//! The bytes may be hostile. Nothing is allocated that the file's size does not allow, and every tensor's bytes lie
//! inside the file before one is read.

mod fuzz;
mod read;
mod value;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::dtype::Dtype;
use super::file::Bytes;
use super::problem::{Problem, shorten};
use super::tensor::{Tensor, byte_len};

pub use fuzz::fuzz;
use read::{Bad, Input};
pub use value::{Array, Kind, Value};

/// Bytes to which tensors are aligned if the file does not say otherwise.
const ALIGNMENT: u64 = 32;
/// Dimensions that a tensor can have in ggml.
const DIMENSIONS: u32 = 4;

/// How a tensor of a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// In a format that can be read.
    Known(Dtype),
    /// In another one, by ggml's code.
    Unknown(u32),
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The shape, outermost dimension first (on file it is the other way round).
    pub shape: Vec<usize>,
    /// How it is stored.
    pub stored: Stored,
    /// The first byte, from the beginning of the file.
    start: u64,
}

/// What stands before a file's tensors.
#[derive(Debug)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// The metadata by key.
    pub metadata: HashMap<String, Value>,
    /// The tensors by name.
    pub tensors: HashMap<String, Info>,
}

/// An open GGUF file.
#[derive(Debug)]
pub struct Gguf {
    name: String,
    header: Header,
    bytes: Bytes,
}

impl Gguf {
    /// Opens a file and reads what stands before its tensors.
    pub fn open(path: &Path) -> Result<Gguf, Problem> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let unreadable = |e: std::io::Error| {
            problem(&name, "", Bad::new(format!("it cannot be read ({e})"), "a readable file"))
        };
        let bytes = Bytes::open(path).map_err(unreadable)?;
        let header = bytes.from_start(Header::read).map_err(unreadable)?;
        let header = header.map_err(|(item, bad)| problem(&name, &item, bad))?;
        Ok(Gguf { name, header, bytes })
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands before the tensors.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Puts a value in place of another, as if it were in the file.
    #[cfg(test)]
    pub fn set(&mut self, key: &str, value: Value) {
        self.header.metadata.insert(key.to_owned(), value);
    }

    /// A value of the metadata.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(key)
    }

    /// Reads a tensor's bytes as they are stored.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Problem> {
        let bad = |found: String, expected: &str| problem(&self.name, name, Bad::new(found, expected));
        let Some(info) = self.header.tensors.get(name) else {
            return Err(bad("no such tensor".into(), "it in the file"));
        };
        let Stored::Known(dtype) = info.stored else {
            return Err(bad(format!("type {}", info.stored), READABLE));
        };
        let tensor = byte_len(&info.shape, dtype).map(|len| {
            let bytes = self.bytes.read(info.start, len)?;
            Ok(Tensor::new(info.shape.clone(), dtype, bytes))
        });
        match tensor.transpose().map(Option::flatten) {
            Ok(Some(tensor)) => Ok(tensor),
            Ok(None) => Err(bad(format!("shape {:?} in {dtype}", info.shape), "whole blocks in each row")),
            Err(e) => {
                let e: std::io::Error = e;
                Err(bad(format!("bytes that cannot be read ({e})"), "the file as it was when it was opened"))
            }
        }
    }
}

/// The formats that can be read, for messages.
pub const READABLE: &str = "F32, F16, BF16, Q8_0, Q4_0 or Q4_1";

impl Header {
    /// Reads the header of a file of `len` bytes. An error names the key or tensor where it went wrong.
    fn read(inner: &mut dyn Read, len: u64) -> Result<Header, (String, Bad)> {
        let mut input = Input::new(inner, len);
        let at_start = |bad| (String::new(), bad);
        let magic = input.u32().map_err(at_start)?;
        if magic != u32::from_le_bytes(*b"GGUF") {
            let found = format!("the first bytes {:02x?}", magic.to_le_bytes());
            return Err(at_start(Bad::new(found, "GGUF's: 47 47 55 46")));
        }
        let version = input.u32().map_err(at_start)?;
        if !matches!(version, 2 | 3) {
            let (found, expected) = if matches!(version.swap_bytes(), 2 | 3) {
                ("a big-endian file".into(), "a little-endian one")
            } else {
                (format!("version {version}"), "version 2 or 3")
            };
            return Err(at_start(Bad::new(found, expected)));
        }
        // A tensor takes a name's length, a count of dimensions, a type and an offset; a value a key's length, a type
        // and a byte.
        let tensors = input.count(24, "tensors").map_err(at_start)?;
        let values = input.count(13, "metadata values").map_err(at_start)?;

        let mut metadata = HashMap::new();
        for i in 0..values {
            let key = input.text().map_err(|bad| (format!("key {i}"), bad))?;
            let value = input.value().map_err(|bad| (shown(&key), bad))?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err((shown(&key), Bad::new("the key a second time", "it once")));
            }
        }
        let alignment = alignment(&metadata)?;
        let mut infos = Vec::new();
        for i in 0..tensors {
            let name = input.text().map_err(|bad| (format!("tensor {i}"), bad))?;
            let info = tensor_info(&mut input).map_err(|bad| (shown(&name), bad))?;
            infos.push((name, info));
        }
        let data = input.at().checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        Ok(Header { version, metadata, tensors: place(infos, data, alignment, len)? })
    }
}

fn alignment(metadata: &HashMap<String, Value>) -> Result<u64, (String, Bad)> {
    const KEY: &str = "general.alignment";
    match metadata.get(KEY) {
        None => Ok(ALIGNMENT),
        Some(value) => value
            .as_u64()
            .filter(|n| n.is_power_of_two() && *n <= 1 << 20)
            .ok_or_else(|| (KEY.into(), Bad::new(value.to_string(), "a power of two, at most 1048576"))),
    }
}

/// Reads one tensor's shape, type and offset (from the beginning of the data).
fn tensor_info(input: &mut Input<'_>) -> Result<Info, Bad> {
    let dimensions = input.u32()?;
    if dimensions > DIMENSIONS {
        return Err(Bad::new(format!("{dimensions} dimensions"), format!("at most {DIMENSIONS}")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = input.u64()?;
        let size = usize::try_from(size).ok().filter(|n| *n > 0);
        shape.push(size.ok_or_else(|| Bad::new("a dimension of 0 or beyond memory", "at least 1"))?);
    }
    shape.reverse();
    let stored = Stored::from_code(input.u32()?);
    Ok(Info { shape, stored, start: input.u64()? })
}

/// Puts the tensors to their places in the file and checks that each lies inside it, and over no other.
fn place(
    infos: Vec<(String, Info)>,
    data: u64,
    alignment: u64,
    len: u64,
) -> Result<HashMap<String, Info>, (String, Bad)> {
    let mut tensors = HashMap::new();
    let mut taken: Vec<(u64, u64, String)> = Vec::new();
    for (name, mut info) in infos {
        let at = |bad| (shown(&name), bad);
        let offset = info.start;
        if !offset.is_multiple_of(alignment) {
            return Err(at(Bad::new(format!("offset {offset}"), format!("a multiple of {alignment}"))));
        }
        info.start = data.saturating_add(offset);
        let size = match info.stored {
            Stored::Unknown(_) => 0, // refused by whoever needs it
            Stored::Known(dtype) => byte_len(&info.shape, dtype).ok_or_else(|| {
                let expected = format!("rows of whole blocks of {} numbers", dtype.block());
                at(Bad::new(format!("shape {:?} in {dtype}", info.shape), expected))
            })?,
        };
        let end = info.start.checked_add(size as u64).filter(|end| *end <= len).ok_or_else(|| {
            let expected = format!("{size} bytes from byte {} on (shape {:?})", info.start, info.shape);
            at(Bad::new(format!("a file of {len} bytes"), expected))
        })?;
        if size > 0 {
            taken.push((info.start, end, name.clone()));
        }
        if tensors.insert(name.clone(), info).is_some() {
            return Err((shown(&name), Bad::new("the tensor a second time", "it once")));
        }
    }
    taken.sort_unstable();
    for pair in taken.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && end > start
        {
            let found = format!("byte {start} as its start, where {} ends at {end}", shown(first));
            return Err((shown(second), Bad::new(found, "bytes of its own")));
        }
    }
    Ok(tensors)
}

fn problem(file: &str, item: &str, bad: Bad) -> Problem {
    Problem { file: file.into(), item: item.into(), found: bad.found, expected: bad.expected }
}

/// A name from a file, fit for a message.
fn shown(name: &str) -> String {
    shorten(name).escape_debug().to_string()
}

impl Stored {
    fn from_code(code: u32) -> Stored {
        match code {
            0 => Stored::Known(Dtype::F32),
            1 => Stored::Known(Dtype::F16),
            2 => Stored::Known(Dtype::Q4_0),
            3 => Stored::Known(Dtype::Q4_1),
            8 => Stored::Known(Dtype::Q8_0),
            30 => Stored::Known(Dtype::Bf16),
            other => Stored::Unknown(other),
        }
    }
}

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Stored::Known(dtype) => return write!(f, "{dtype}"),
            Stored::Unknown(code) => match code {
                6 => "Q5_0",
                7 => "Q5_1",
                9 => "Q8_1",
                10 => "Q2_K",
                11 => "Q3_K",
                12 => "Q4_K",
                13 => "Q5_K",
                14 => "Q6_K",
                15 => "Q8_K",
                20 => "IQ4_NL",
                23 => "IQ4_XS",
                28 => "F64",
                39 => "MXFP4",
                code => return write!(f, "type {code} of ggml"),
            },
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests;
