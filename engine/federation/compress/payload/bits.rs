//! A stream of bits. In: numbers with their widths. Out: bytes, the low bit of each first; and back. Reading never panics: past
//! the end it is `None`. It must not know what the numbers mean.

/// Writes bits.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Continues behind whole bytes.
    pub fn behind(bytes: Vec<u8>) -> BitWriter {
        BitWriter { bytes, held: 0, count: 0 }
    }

    /// Appends the low `width` bits of a number, at most 32.
    pub fn put(&mut self, number: u32, width: u32) {
        let number = u64::from(number) & ((1_u64 << width.min(32)) - 1);
        // At most 31 bits are held here.
        self.held |= number << self.count;
        self.count += width.min(32);
        if self.count >= 32 {
            #[expect(clippy::cast_possible_truncation, reason = "the low half")]
            self.bytes.extend((self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Fills up the last byte with zeros and gives all bytes.
    pub fn finish(mut self) -> Vec<u8> {
        let bytes = self.held.to_le_bytes();
        self.bytes.extend(bytes.iter().take(self.count.div_ceil(8) as usize));
        self.bytes
    }
}

/// Reads bits.
#[derive(Debug)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    /// The low `count` bits are next; bits above are ignored.
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    /// Reads from the first bit.
    pub fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { rest: bytes, held: 0, count: 0 }
    }

    /// Bits that are left.
    pub fn left(&self) -> u64 {
        self.rest.len() as u64 * 8 + u64::from(self.count)
    }

    /// Holds at least 56 bits, or all that are left.
    #[inline]
    fn refill(&mut self) {
        if let Some((word, _)) = self.rest.split_first_chunk::<8>() {
            let bytes = (63 - self.count) / 8;
            // Bits above the new count are read again later, and are the same then.
            self.held |= u64::from_le_bytes(*word) << self.count;
            self.count += bytes * 8;
            self.rest = self.rest.get(bytes as usize..).unwrap_or(&[]);
        } else {
            self.held &= (1_u64 << self.count) - 1;
            while self.count <= 55
                && let Some((byte, rest)) = self.rest.split_first()
            {
                self.held |= u64::from(*byte) << self.count;
                self.count += 8;
                self.rest = rest;
            }
        }
    }

    /// The next `width` bits, at most 32, as a number.
    #[inline]
    pub fn get(&mut self, width: u32) -> Option<u32> {
        if self.count < width {
            self.refill();
            if self.count < width {
                return None;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits")]
        let number = (self.held & ((1_u64 << width.min(32)) - 1)) as u32;
        self.held >>= width;
        self.count -= width;
        Some(number)
    }

    /// Counts zeros up to the next one and reads both; stops after `most` zeros (at most 32), without looking further.
    #[inline]
    pub fn zeros(&mut self, most: u32) -> Option<u32> {
        if self.count <= most {
            self.refill();
        }
        let zeros = self.held.trailing_zeros().min(most);
        let width = if zeros == most { most } else { zeros + 1 };
        if self.count < width {
            return None;
        }
        self.held >>= width;
        self.count -= width;
        Some(zeros)
    }

    /// Nothing is left but zero bits that fill up the last byte.
    pub fn end(mut self) -> Result<(), &'static str> {
        let left = self.left();
        if left >= 8 {
            return Err("bytes are left over");
        }
        match self.get(u32::try_from(left).unwrap_or(0)) {
            Some(0) => Ok(()),
            _ => Err("its last bits are not zero"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec((any::<u32>(), 0..=32_u32), 0..200)) {
            let mut writer = BitWriter::default();
            let mut bits = 0;
            for (number, width) in &numbers {
                writer.put(*number, *width);
                bits += *width as usize;
            }
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), bits.div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for (number, width) in numbers {
                let kept = u64::from(number) & ((1 << width) - 1);
                prop_assert_eq!(reader.get(width).map(u64::from), Some(kept));
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn zeros_are_counted(runs in proptest::collection::vec((0..40_u32, 0..=32_u32), 0..100)) {
            let mut writer = BitWriter::default();
            for (zeros, most) in &runs {
                if zeros < most {
                    writer.put(0, *zeros);
                    writer.put(1, 1);
                } else {
                    writer.put(0, *most);
                }
            }
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (zeros, most) in runs {
                prop_assert_eq!(reader.zeros(most), Some(zeros.min(most)));
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn reading_past_the_end_is_none(bytes in proptest::collection::vec(any::<u8>(), 0..20), widths in proptest::collection::vec(0..=32_u32, 0..60)) {
            let mut reader = BitReader::new(&bytes);
            for width in widths {
                let left = reader.left();
                prop_assert_eq!(reader.get(width).is_some(), u64::from(width) <= left);
                let _ = reader.zeros(width);
            }
        }
    }
}
