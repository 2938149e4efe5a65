//! Little-endian numbers and length-prefixed bytes, as the headers of this crate's files use them.
//! Reading never panics: too short is `None`.

/// Reads fields from the front of a slice.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes preceded by their length as u32.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    /// `Some` when nothing is left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Appends bytes preceded by their length as u32; what is longer than 4 GiB is refused.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> crate::Result {
    let length =
        u32::try_from(bytes.len()).map_err(|_| crate::Error::Crypto("a field is longer than 4 GiB"))?;
    out.extend(length.to_le_bytes());
    out.extend(bytes);
    Ok(())
}
