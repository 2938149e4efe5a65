//! The split of a flat vector into tensors. In: the lengths of the tensors, in the adapter's canonical order. Out: their ranges,
//! and an id by which two sides see that they mean the same. It must not know names or shapes of tensors.

use sha2::{Digest as _, Sha256};

/// Bytes of a layout's id.
pub const ID_BYTES: usize = 8;

/// The lengths of an adapter's tensors, in parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    lengths: Vec<u32>,
    parameters: u32,
    id: [u8; ID_BYTES],
}

impl Layout {
    /// Tensors of these lengths, one behind the other. `None` when together they have 2^32 parameters or more.
    pub fn new(lengths: &[u32]) -> Option<Layout> {
        let parameters = lengths.iter().try_fold(0_u32, |sum, length| sum.checked_add(*length))?;
        let mut hash = Sha256::new();
        hash.update(b"headwater layout v1\0");
        for length in lengths {
            hash.update(length.to_le_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; ID_BYTES];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Some(Layout { lengths: lengths.to_vec(), parameters, id })
    }

    /// Lengths of the tensors.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// Parameters of all tensors together.
    pub fn parameters(&self) -> u32 {
        self.parameters
    }

    /// The first 8 bytes of SHA-256 over `headwater layout v1`, a zero byte, and each length as 4 bytes.
    pub fn id(&self) -> [u8; ID_BYTES] {
        self.id
    }

    /// For each tensor its first position in the flat vector, and its length.
    pub fn tensors(&self) -> impl Iterator<Item = (u32, u32)> {
        self.lengths.iter().scan(0_u32, |start, length| {
            let first = *start;
            *start += length;
            Some((first, *length))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_make_ranges_and_ids() {
        let layout = Layout::new(&[3, 0, 5]).unwrap();
        assert_eq!(layout.tensors().collect::<Vec<_>>(), [(0, 3), (3, 0), (3, 5)]);
        assert_eq!(layout.parameters(), 8);
        let check = |lengths: &[u32], same: bool| {
            assert_eq!(Layout::new(lengths).unwrap().id() == layout.id(), same, "{lengths:?}");
        };
        check(&[3, 0, 5], true);
        check(&[3, 5], false);
        check(&[0, 3, 5], false);
        check(&[8], false);
        assert_eq!(Layout::new(&[u32::MAX, 1]), None);
        assert_eq!(Layout::new(&[]).unwrap().parameters(), 0);
    }
}
