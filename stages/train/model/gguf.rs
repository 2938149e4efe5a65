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

use headwater_dtype::Dtype;

use super::detected_format::{self, DetectedFormat, ENOUGH, named};
use super::file::Bytes;
use super::problem::{Problem, few, shorten};
use super::tensor::{Tensor, byte_len};

pub use fuzz::fuzz;
use read::{CUT_SHORT, Input, ReadError};
pub use value::{Array, Kind, Value};

/// The first bytes of every file.
const MAGIC: &[u8; 4] = b"GGUF";
/// Bytes to which tensors are aligned if the file does not say otherwise.
const ALIGNMENT: u64 = 32;
/// Dimensions that a tensor can have in ggml.
const DIMENSIONS: u32 = 4;

/// The type of a tensor in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// In a format that can be read.
    Supported(Dtype),
    /// In another one, by ggml's code.
    Unsupported(u32),
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The shape, outermost dimension first (on file it is the other way round).
    pub shape: Vec<usize>,
    /// The type of its numbers.
    pub stored: TensorType,
    /// The first byte, from the beginning of the file.
    start: u64,
}

/// The header of a file.
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
            problem(&name, "", ReadError::new(format!("it cannot be read ({e})"), "a readable file"))
        };
        let bytes = Bytes::open(path).map_err(unreadable)?;
        let first = bytes.first(ENOUGH).map_err(unreadable)?;
        if let Some(DetectedFormat { found, help }) = named(&first, detected_format::GGUF) {
            return Err(problem(&name, "", ReadError::new(found, detected_format::GGUF).help(help)));
        }
        let header = bytes.from_start(Header::read).map_err(unreadable)?;
        let header = header.map_err(|(item, bad)| problem(&name, &item, bad))?;
        Ok(Gguf { name, header, bytes })
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header of the file.
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
        let bad = |found: String, expected: &str| problem(&self.name, name, ReadError::new(found, expected));
        let Some(info) = self.header.tensors.get(name) else {
            return Err(bad("no such tensor".into(), "it in the file"));
        };
        let TensorType::Supported(dtype) = info.stored else {
            let bad = ReadError::new(format!("type {}", info.stored), READABLE).help(READ_ANOTHER);
            return Err(problem(&self.name, name, bad));
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

/// The remedy for a format that cannot be read.
pub const READ_ANOTHER: &str =
    "not read yet; take a file of one of these, or make it: `llama-quantize --allow-requantize IN OUT Q8_0`";
/// The formats that can be read, for messages.
pub const READABLE: &str = "F32, F16, BF16, Q8_0, Q4_0 or Q4_1";

impl Header {
    /// Reads the header of a file of `len` bytes. An error names the key or tensor where it went wrong.
    fn read(inner: &mut dyn Read, len: u64) -> Result<Header, (String, ReadError)> {
        let mut input = Input::new(inner, len);
        let at_start = |bad| (String::new(), bad);
        let magic = input.u32().map_err(at_start)?;
        if magic != u32::from_le_bytes(*MAGIC) {
            let found = format!("the first bytes {:02x?}", magic.to_le_bytes());
            return Err(at_start(ReadError::new(found, "GGUF's: 47 47 55 46")));
        }
        let version = input.u32().map_err(at_start)?;
        if !matches!(version, 2 | 3) {
            return Err(at_start(other_version(version)));
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
                return Err((shown(&key), ReadError::new("the key a second time", "it once")));
            }
        }
        let alignment = alignment(&metadata)?;
        let mut infos = Vec::new();
        for i in 0..tensors {
            let name = input.text().map_err(|bad| (format!("tensor {i}"), bad))?;
            let info = tensor_info(&mut input).map_err(|bad| (shown(&name), bad))?;
            infos.push((name, info));
        }
        whole(&metadata)?;
        let data = input.at().checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        Ok(Header { version, metadata, tensors: place(infos, data, alignment, len)? })
    }
}

/// The remedy for a file of a version that is not read.
fn other_version(version: u32) -> ReadError {
    match version {
        1 => ReadError::new("version 1, of 2023", "version 2 or 3")
            .help("take a newer file of this model: llama.cpp reads this one no more either"),
        big if matches!(big.swap_bytes(), 1..=3) => {
            ReadError::new("a big-endian file", "a little-endian one")
                .help("llama.cpp's gguf_convert_endian.py FILE little turns it")
        }
        newer => ReadError::new(format!("version {newer}"), "version 2 or 3").help(
            "a newer Headwater may read it; else take the model as safetensors, or an older file of it",
        ),
    }
}

/// Refuses one part of a model that was split into several files: nothing of it would be whole.
fn whole(metadata: &HashMap<String, Value>) -> Result<(), (String, ReadError)> {
    const COUNT: &str = "split.count";
    let number = |key: &str| metadata.get(key).and_then(Value::as_u64);
    match number(COUNT) {
        Some(count) if count > 1 => {
            let part = number("split.no").unwrap_or(0).saturating_add(1);
            let bad = ReadError::new(format!("part {part} of {count} of a model"), "a model in one file");
            Err((
                COUNT.to_owned(),
                bad.help("`llama-gguf-split --merge FIRST-PART OUT.gguf` joins the parts"),
            ))
        }
        _ => Ok(()),
    }
}

fn alignment(metadata: &HashMap<String, Value>) -> Result<u64, (String, ReadError)> {
    const KEY: &str = "general.alignment";
    match metadata.get(KEY) {
        None => Ok(ALIGNMENT),
        Some(value) => value.as_u64().filter(|n| n.is_power_of_two() && *n <= 1 << 20).ok_or_else(|| {
            (KEY.into(), ReadError::new(value.to_string(), "a power of two, at most 1048576"))
        }),
    }
}

/// Reads one tensor's shape, type and offset (from the beginning of the data).
fn tensor_info(input: &mut Input<'_>) -> Result<Info, ReadError> {
    let dimensions = input.u32()?;
    if dimensions > DIMENSIONS {
        return Err(ReadError::new(format!("{dimensions} dimensions"), format!("at most {DIMENSIONS}")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = input.u64()?;
        let size = usize::try_from(size).ok().filter(|n| *n > 0);
        shape.push(size.ok_or_else(|| ReadError::new("a dimension of 0 or beyond memory", "at least 1"))?);
    }
    shape.reverse();
    let stored = TensorType::from_code(input.u32()?);
    Ok(Info { shape, stored, start: input.u64()? })
}

/// Puts the tensors to their places in the file and checks that each lies inside it, and over no other.
fn place(
    infos: Vec<(String, Info)>,
    data: u64,
    alignment: u64,
    len: u64,
) -> Result<HashMap<String, Info>, (String, ReadError)> {
    let mut tensors = HashMap::new();
    let mut taken: Vec<(u64, u64, String)> = Vec::new();
    let (mut ends, mut cut) = (len, Vec::new());
    for (name, mut info) in infos {
        let at = |bad| (shown(&name), bad);
        let offset = info.start;
        if !offset.is_multiple_of(alignment) {
            return Err(at(ReadError::new(format!("offset {offset}"), format!("a multiple of {alignment}"))));
        }
        info.start = data.saturating_add(offset);
        let size = match info.stored {
            TensorType::Unsupported(_) => 0, // refused by its reader
            TensorType::Supported(dtype) => byte_len(&info.shape, dtype).ok_or_else(|| {
                let expected = format!("rows of whole blocks of {} numbers", dtype.block());
                at(ReadError::new(format!("shape {:?} in {dtype}", info.shape), expected))
            })?,
        };
        let end = info.start.checked_add(size as u64).ok_or_else(|| {
            let expected = format!("{size} bytes from byte {} on (shape {:?})", info.start, info.shape);
            at(ReadError::new(format!("a file of {len} bytes"), expected))
        })?;
        if end > len {
            ends = ends.max(end);
            cut.push(shown(&name));
        }
        if size > 0 {
            taken.push((info.start, end, name.clone()));
        }
        if tensors.insert(name.clone(), info).is_some() {
            return Err((shown(&name), ReadError::new("the tensor a second time", "it once")));
        }
    }
    if ends > len {
        cut.sort();
        let bad = ReadError::new(format!("a file of {len} bytes"), format!("at least {ends} bytes"));
        return Err((few(&cut), bad.help(CUT_SHORT)));
    }
    taken.sort_unstable();
    for pair in taken.windows(2) {
        if let [(_, end, first), (start, _, second)] = pair
            && end > start
        {
            let found = format!("byte {start} as its start, where {} ends at {end}", shown(first));
            return Err((shown(second), ReadError::new(found, "bytes of its own")));
        }
    }
    Ok(tensors)
}

fn problem(file: &str, item: &str, bad: ReadError) -> Problem {
    let ReadError { found, expected, help } = bad;
    Problem { file: file.into(), item: item.into(), found, expected, help }
}

/// A name from a file, fit for a message.
fn shown(name: &str) -> String {
    shorten(name).escape_debug().to_string()
}

impl TensorType {
    fn from_code(code: u32) -> TensorType {
        match code {
            0 => TensorType::Supported(Dtype::F32),
            1 => TensorType::Supported(Dtype::F16),
            2 => TensorType::Supported(Dtype::Q4_0),
            3 => TensorType::Supported(Dtype::Q4_1),
            8 => TensorType::Supported(Dtype::Q8_0),
            30 => TensorType::Supported(Dtype::Bf16),
            other => TensorType::Unsupported(other),
        }
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            TensorType::Supported(dtype) => return write!(f, "{dtype}"),
            TensorType::Unsupported(code) => match code {
                6 => "Q5_0",
                7 => "Q5_1",
                9 => "Q8_1",
                10 => "Q2_K",
                11 => "Q3_K",
                12 => "Q4_K",
                13 => "Q5_K",
                14 => "Q6_K",
                15 => "Q8_K",
                16 => "IQ2_XXS",
                17 => "IQ2_XS",
                18 => "IQ3_XXS",
                19 => "IQ1_S",
                20 => "IQ4_NL",
                21 => "IQ3_S",
                22 => "IQ2_S",
                23 => "IQ4_XS",
                24 => "I8",
                25 => "I16",
                26 => "I32",
                27 => "I64",
                28 => "F64",
                29 => "IQ1_M",
                34 => "TQ1_0",
                35 => "TQ2_0",
                39 => "MXFP4",
                code => return write!(f, "type {code} of ggml"),
            },
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests;
