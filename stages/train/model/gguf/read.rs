//! Bytes that may be hostile go in; numbers, texts and arrays of GGUF come out. Knows the encoding of single values,
//! not what a file consists of. No length is believed before the input could hold it.

use std::io::Read;

use super::value::{Array, Kind, Value};

/// The longest nesting of arrays in arrays that is read.
const DEEPEST: u32 = 4;

/// Why a value could not be read: what was found, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadError {
    pub found: String,
    pub expected: String,
    /// The remedy; empty where that follows from the rest.
    pub help: String,
}

/// The remedy for a file that ends too early.
pub(super) const CUT_SHORT: &str =
    "the file is cut short: fetch it again, and compare its size with the origin's";

impl ReadError {
    pub(super) fn new(found: impl Into<String>, expected: impl Into<String>) -> ReadError {
        ReadError { found: found.into(), expected: expected.into(), help: String::new() }
    }

    /// The same with what to do.
    pub(super) fn help(self, help: impl Into<String>) -> ReadError {
        ReadError { help: help.into(), ..self }
    }
}

/// The input, and how much of it is left.
pub(super) struct Input<'a> {
    inner: &'a mut dyn Read,
    at: u64,
    len: u64,
}

impl<'a> Input<'a> {
    /// An input of `len` bytes.
    pub(super) fn new(inner: &'a mut dyn Read, len: u64) -> Self {
        Input { inner, at: 0, len }
    }

    /// The place of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        self.len.saturating_sub(self.at)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), ReadError> {
        self.inner.read_exact(out).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                ReadError::new(format!("the end of the file at byte {}", self.at), "more bytes")
                    .help(CUT_SHORT)
            }
            _ => ReadError::new(format!("bytes that cannot be read at {} ({e})", self.at), "a readable file"),
        })?;
        self.at = self.at.saturating_add(out.len() as u64);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ReadError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ReadError> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// A count of things of at least `least` bytes each, which the rest of the input can hold.
    pub(super) fn count(&mut self, least: u64, what: &str) -> Result<usize, ReadError> {
        let count = self.u64()?;
        let room = self.left() / least.max(1);
        usize::try_from(count).ok().filter(|_| count <= room).ok_or_else(|| {
            let left = self.left();
            ReadError::new(
                format!("{count} {what} announced before byte {}", self.at),
                format!("at most {room} in the {left} bytes that are left"),
            )
            .help(CUT_SHORT)
        })
    }

    pub(super) fn text(&mut self) -> Result<String, ReadError> {
        let len = self.count(1, "bytes of text")?;
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|e| {
            ReadError::new(format!("bytes that are no UTF-8 before byte {}", self.at), "text").tap(e)
        })
    }

    pub(super) fn value(&mut self) -> Result<Value, ReadError> {
        let kind = self.u32()?;
        self.value_of(kind)
    }

    fn value_of(&mut self, code: u32) -> Result<Value, ReadError> {
        Ok(match Kind::from_code(code) {
            Some(Kind::U8) => Value::U64(u8::from_le_bytes(self.bytes()?).into()),
            Some(Kind::I8) => Value::I64(i8::from_le_bytes(self.bytes()?).into()),
            Some(Kind::U16) => Value::U64(u16::from_le_bytes(self.bytes()?).into()),
            Some(Kind::I16) => Value::I64(i16::from_le_bytes(self.bytes()?).into()),
            Some(Kind::U32) => Value::U64(self.u32()?.into()),
            Some(Kind::I32) => Value::I64(i32::from_le_bytes(self.bytes()?).into()),
            Some(Kind::U64) => Value::U64(self.u64()?),
            Some(Kind::I64) => Value::I64(i64::from_le_bytes(self.bytes()?)),
            Some(Kind::F32) => Value::F64(f32::from_le_bytes(self.bytes()?).into()),
            Some(Kind::F64) => Value::F64(f64::from_le_bytes(self.bytes()?)),
            Some(Kind::Bool) => match self.bytes()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(ReadError::new(format!("{other} as a truth value"), "0 or 1")),
            },
            Some(Kind::Text) => Value::Text(self.text()?),
            Some(Kind::Array) => Value::Array(self.array(DEEPEST)?),
            None => {
                return Err(ReadError::new(format!("a value of type {code}"), "one of the types 0 to 12"));
            }
        })
    }

    fn array(&mut self, deeper: u32) -> Result<Array, ReadError> {
        let code = self.u32()?;
        let Some(kind) = Kind::from_code(code) else {
            return Err(ReadError::new(format!("an array of type {code}"), "one of the types 0 to 12"));
        };
        let count = self.count(kind.least_bytes(), "elements")?;
        match kind {
            Kind::Text => {
                let mut texts = Vec::new();
                for _ in 0..count {
                    texts.push(self.text()?.into_boxed_str());
                }
                Ok(Array::Texts(texts))
            }
            Kind::Array => {
                let Some(deeper) = deeper.checked_sub(1) else {
                    return Err(ReadError::new(
                        "arrays in arrays in arrays",
                        format!("at most {DEEPEST} levels"),
                    ));
                };
                let mut arrays = Vec::new();
                for _ in 0..count {
                    arrays.push(self.array(deeper)?);
                }
                Ok(Array::Arrays(arrays))
            }
            kind => {
                let width = usize::try_from(kind.least_bytes()).unwrap_or(1);
                let mut bytes = vec![0; count.saturating_mul(width)];
                self.fill(&mut bytes)?;
                Ok(Array::Numbers { kind, bytes })
            }
        }
    }
}

impl ReadError {
    /// Adds where in the text it went wrong.
    fn tap(mut self, e: std::string::FromUtf8Error) -> ReadError {
        self.found.push_str(&format!(" ({})", e.utf8_error()));
        self
    }
}
