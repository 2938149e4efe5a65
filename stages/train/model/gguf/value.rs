//! The values of GGUF's metadata. Knows their types, not where they stand in a file.

use std::fmt;

/// The type of a metadata value, by its code in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Code 0.
    U8,
    /// Code 1.
    I8,
    /// Code 2.
    U16,
    /// Code 3.
    I16,
    /// Code 4.
    U32,
    /// Code 5.
    I32,
    /// Code 6.
    F32,
    /// Code 7: one byte, 0 or 1.
    Bool,
    /// Code 8: a 64-bit length and that many bytes of UTF-8.
    Text,
    /// Code 9: the elements' type, their 64-bit number, the elements.
    Array,
    /// Code 10.
    U64,
    /// Code 11.
    I64,
    /// Code 12.
    F64,
}

impl Kind {
    pub(super) fn from_code(code: u32) -> Option<Kind> {
        use Kind::{Array, Bool, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
        let kinds = [U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64];
        kinds.get(usize::try_from(code).ok()?).copied()
    }

    /// Bytes that a value of this type takes at least.
    pub(super) const fn least_bytes(self) -> u64 {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 | Kind::Text => 8,
            Kind::Array => 12,
        }
    }
}

/// A value; smaller integers and floats are widened, which is exact.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An unsigned integer of 8 to 64 bits.
    U64(u64),
    /// A signed integer of 8 to 64 bits.
    I64(i64),
    /// A float of 32 or 64 bits.
    F64(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// An array.
    Array(Array),
}

/// An array. Numbers stay as they are in the file, so that an array takes no more memory than there.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Numbers or truth values of one type, little-endian.
    Numbers {
        /// Their type.
        kind: Kind,
        /// Their bytes.
        bytes: Vec<u8>,
    },
    /// Texts.
    Texts(Vec<Box<str>>),
    /// Arrays.
    Arrays(Vec<Array>),
}

impl Value {
    /// A whole number that is not negative, of whatever integer type.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::U64(n) => Some(*n),
            Value::I64(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A float of whatever width.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::F64(x) => Some(*x),
            _ => None,
        }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// An array of texts.
    pub fn as_texts(&self) -> Option<&[Box<str>]> {
        match self {
            Value::Array(Array::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// An array of whole numbers, of whatever integer type.
    pub fn as_integers(&self) -> Option<Vec<i64>> {
        match self {
            Value::Array(Array::Numbers { kind, bytes }) => integers(*kind, bytes),
            _ => None,
        }
    }
}

fn integers(kind: Kind, bytes: &[u8]) -> Option<Vec<i64>> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> i64) -> Vec<i64> {
        let (numbers, _) = bytes.as_chunks::<N>();
        numbers.iter().map(|b| number(*b)).collect()
    }
    Some(match kind {
        Kind::U8 => each(bytes, |b| u8::from_le_bytes(b).into()),
        Kind::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
        Kind::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
        Kind::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
        Kind::U32 => each(bytes, |b| u32::from_le_bytes(b).into()),
        Kind::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
        Kind::I64 => each(bytes, i64::from_le_bytes),
        Kind::U64 => {
            let (numbers, _) = bytes.as_chunks::<8>();
            numbers.iter().map(|b| i64::try_from(u64::from_le_bytes(*b))).collect::<Result<_, _>>().ok()?
        }
        _ => return None,
    })
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::U64(n) => write!(f, "{n}"),
            Value::I64(n) => write!(f, "{n}"),
            Value::F64(x) => write!(f, "{x}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Text(text) => write!(f, "\"{}\"", super::super::problem::shorten(text).escape_debug()),
            Value::Array(Array::Numbers { kind, bytes }) => {
                let count = bytes.len() as u64 / kind.least_bytes();
                write!(f, "an array of {count} numbers ({kind:?})")
            }
            Value::Array(Array::Texts(texts)) => write!(f, "an array of {} texts", texts.len()),
            Value::Array(Array::Arrays(arrays)) => write!(f, "an array of {} arrays", arrays.len()),
        }
    }
}
