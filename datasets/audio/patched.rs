//! A file with some of its bytes replaced, and with none before a place: so decoders see sizes that are true.
//!
//! Knows nothing of what the bytes mean.

use std::io::{Read, Result, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// A source seen through patches.
pub(super) struct PatchedReader {
    source: Box<dyn MediaSource>,
    /// Bytes in front that are not seen.
    start: u64,
    /// Where the next byte is read, in the source.
    at: u64,
    /// Bytes that replace those of the source, by position.
    patches: Vec<(u64, [u8; 4])>,
}

impl PatchedReader {
    /// A source from one of its places on, with patches at places of its own.
    pub(super) fn new(
        mut source: Box<dyn MediaSource>,
        start: u64,
        patches: Vec<(u64, [u8; 4])>,
    ) -> Result<Self> {
        source.seek(SeekFrom::Start(start))?;
        Ok(Self { source, start, at: start, patches })
    }
}

impl Read for PatchedReader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.source.read(buffer)?;
        for (place, patch) in &self.patches {
            for (at, byte) in (*place..).zip(patch) {
                let inside = at.checked_sub(self.at).and_then(|inside| usize::try_from(inside).ok());
                if let Some(seen) =
                    inside.filter(|inside| *inside < count).and_then(|inside| buffer.get_mut(inside))
                {
                    *seen = *byte;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for PatchedReader {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(at.saturating_add(self.start)),
            other => other,
        };
        self.at = self.source.seek(to)?;
        Ok(self.at.saturating_sub(self.start))
    }
}

impl MediaSource for PatchedReader {
    fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.source.byte_len().map(|length| length.saturating_sub(self.start))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn patches_are_seen_however_the_bytes_are_read() {
        let patched = || {
            let source = Box::new(Cursor::new((0..20).collect::<Vec<u8>>()));
            PatchedReader::new(source, 3, vec![(5, [90, 91, 92, 93]), (18, [95, 96, 97, 98])]).unwrap()
        };
        let whole = [3, 4, 90, 91, 92, 93, 9, 10, 11, 12, 13, 14, 15, 16, 17, 95, 96];
        assert_eq!(patched().byte_len(), Some(17));
        for size in 1..20 {
            let (mut source, mut all) = (patched(), Vec::new());
            let mut buffer = vec![0; size];
            loop {
                let count = source.read(&mut buffer).unwrap();
                if count == 0 {
                    break;
                }
                all.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(all, whole, "by {size}");
            for place in 0..17 {
                assert_eq!(source.seek(SeekFrom::Start(place as u64)).unwrap(), place as u64);
                let mut rest = Vec::new();
                source.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, whole[place..], "from {place}");
            }
        }
    }
}
