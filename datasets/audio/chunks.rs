//! The sizes in the headers of WAV, RF64 and AIFF, and what they truly are.
//!
//! The bytes of a file flow in; patches that make its sizes true flow out. A recorder writes sizes last: where it was killed, or wrote into a pipe,
//! they say 0, the most that fits, or less than there is. Then the samples extend to the end of the file, and a remark says so. A size
//! that promises more than there is, and could be meant, is a promise: the file is cut off.
//!
//! Knows nothing of samples.

use std::io::{Read, Seek, SeekFrom};

use super::frames;

/// The limit of chunks that are read.
const CHUNKS: usize = 1_000;

/// Sizes that stand where none was known, beside 0: the most that fits into 32 bits, or into 31, up to what is commonly left for a header.
const UNKNOWN: [std::ops::RangeInclusive<u64>; 2] = [0x7fff_0000..=0x8000_ffff, 0xffff_0000..=u64::MAX];

/// The sizes that a file states.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Places where a decoder must see something else.
    pub(super) patches: Vec<(u64, [u8; 4])>,
    /// Bytes of samples that the header promises and bytes that there are, where it promises more.
    pub(super) short: Option<(u64, u64)>,
    /// The reason why the samples extend to the end of the file.
    pub(super) open_ended: Option<String>,
    /// The number by which WAV names the codec.
    pub(super) format: Option<u16>,
}

/// Reads a file that begins with RIFF, RF64 or FORM; nothing where no chunk of samples is found.
pub(super) fn layout<R: Read + Seek + ?Sized>(source: &mut R, length: u64) -> Option<Layout> {
    let mut file = Chunks { source, length, is_big_endian: false };
    let kind = file.bytes(0, 4)?;
    file.is_big_endian = kind.starts_with(b"FORM");
    let samples: &[u8] = if file.is_big_endian { b"SSND" } else { b"data" };
    let (mut at, mut long, mut layout) = (12, None, Layout::default());
    for _ in 0..CHUNKS {
        let (id, size) = file.chunk(at)?;
        match &id[..] {
            b"ds64" => long = Some(u64::from_le_bytes(file.bytes(at + 16, 8)?.try_into().ok()?)),
            b"fmt " => layout.format = file.format(at + 8),
            id if id == samples => {
                let size = if size == u64::from(u32::MAX) { long.unwrap_or(size) } else { size };
                file.samples(at + 8, size, &mut layout);
                return Some(layout);
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    None
}

struct Chunks<'s, R: ?Sized> {
    source: &'s mut R,
    length: u64,
    is_big_endian: bool,
}

impl<R: Read + Seek + ?Sized> Chunks<'_, R> {
    fn bytes(&mut self, at: u64, count: u64) -> Option<Vec<u8>> {
        self.source.seek(SeekFrom::Start(at)).ok()?;
        let mut bytes = Vec::new();
        self.source.take(count).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 == count).then_some(bytes)
    }

    /// The name and the size of the chunk at a place.
    fn chunk(&mut self, at: u64) -> Option<([u8; 4], u64)> {
        let head = self.bytes(at, 8)?;
        let (id, size) = head.split_first_chunk::<4>()?;
        let size = size.try_into().ok()?;
        let size = if self.is_big_endian { u32::from_be_bytes(size) } else { u32::from_le_bytes(size) };
        Some((*id, u64::from(size)))
    }

    /// The number of the codec; of a format that has been extended, the one that stands further behind.
    fn format(&mut self, at: u64) -> Option<u16> {
        const EXTENDED: u16 = 0xfffe;
        let mut number = |at| Some(u16::from_le_bytes(self.bytes(at, 2)?.try_into().ok()?));
        number(at).and_then(|format| if format == EXTENDED { number(at + 24) } else { Some(format) })
    }

    /// The samples begin here, and their chunk has this size: is it true?
    fn samples(&mut self, begin: u64, size: u64, layout: &mut Layout) {
        let there = self.length.saturating_sub(begin);
        let is_unknown = size == 0 || UNKNOWN.iter().any(|unknown| unknown.contains(&size));
        let stated = if size > there && !is_unknown {
            layout.short = Some((size, there));
            there
        } else if size <= there && self.ends_well(begin + size + size % 2) {
            size
        } else {
            let why = if is_unknown {
                "its header gives no length".to_owned()
            } else {
                format!("{} bytes follow behind the length that its header gives", there - size)
            };
            layout.open_ended = Some(why);
            there
        };
        let of_samples = u32::try_from(stated).unwrap_or(u32::MAX);
        if self.is_big_endian {
            let whole = u32::try_from(self.length.saturating_sub(8)).unwrap_or(u32::MAX);
            layout.patches = vec![(4, whole.to_be_bytes()), (begin - 4, of_samples.to_be_bytes())];
        } else {
            // Decoders take the most that fits for a length that is not known, and ask no further.
            layout.patches = vec![(0, *b"RIFF"), (4, [0xff; 4]), (begin - 4, of_samples.to_le_bytes())];
        }
    }

    /// Returns true if behind the samples comes nothing, or what can come there: chunks, tags, padding.
    fn ends_well(&mut self, mut at: u64) -> bool {
        for _ in 0..CHUNKS {
            if at + 8 > self.length {
                return true;
            }
            let Some((id, size)) = self.chunk(at) else { return false };
            let is_tag = self.bytes(at, 32.min(self.length - at)).is_some_and(|head| frames::is_tag(&head));
            if is_tag {
                return true;
            }
            if !id.iter().all(|byte| matches!(byte, b' '..=b'~')) || size > self.length - at - 8 {
                return false;
            }
            at += 8 + size + size % 2;
        }
        false
    }
}
