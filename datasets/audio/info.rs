//! The first frame of an MP3, where it is no sound but says how long the file is: Xing's, LAME's and Fraunhofer's.
//!
//! A frame flows in; what it says of the frames behind it flows out.

use super::frames::{Head, Layer};

/// The padding that all known encoders put in front: the delay of the decoder.
const DECODER: u64 = 529;

/// The stream as its first frame describes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Info {
    /// Samples of each channel, without delay and padding.
    pub(super) frames: Option<u64>,
    /// Samples that the encoder put in front, and behind.
    pub(super) delay: u64,
    pub(super) padding: u64,
}

impl Info {
    /// Reads a frame; nothing for one that holds sound.
    pub(super) fn read(head: &Head, frame: &[u8]) -> Option<Info> {
        if head.layer != Layer::Three {
            return None;
        }
        let (front, rest) = frame.split_at_checked(head.front)?;
        let silent = front.get(6..)?.iter().all(|byte| *byte == 0);
        let number = |bytes: &[u8], at: usize| {
            Some(u64::from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)))
        };
        if silent && (rest.starts_with(b"Xing") || rest.starts_with(b"Info")) {
            let flags = number(rest, 4)?;
            let has = |flag: u64| flags & flag != 0;
            let count = if has(1) { number(rest, 8) } else { None };
            let lengths = [(1, 4), (2, 4), (4, 100), (8, 4)];
            let at =
                8 + lengths.iter().filter(|(flag, _)| has(*flag)).map(|(_, length)| length).sum::<usize>();
            let (delay, padding) = rest.get(at..).and_then(lame).unwrap_or((0, 0));
            let frames = count.map(|count| (count * u64::from(head.samples)).saturating_sub(delay + padding));
            return Some(Info { frames, delay, padding });
        }
        let vbri = frame.get(36..)?;
        if vbri.starts_with(b"VBRI\0\x01") {
            let frames = number(vbri, 14).map(|count| count * u64::from(head.samples));
            return Some(Info { frames, delay: 0, padding: 0 });
        }
        None
    }
}

/// Delay and padding from LAME's part, and that of those who write it alike.
fn lame(part: &[u8]) -> Option<(u64, u64)> {
    let known = [&b"LAME"[..], b"Lavf", b"Lavc"].iter().any(|name| part.starts_with(name));
    let &[high, middle, low] = part.get(21..24)? else { return None };
    let delay = u64::from(high) << 4 | u64::from(middle >> 4);
    let padding = u64::from(middle & 0x0f) << 8 | u64::from(low);
    known.then_some((delay + DECODER, padding.saturating_sub(DECODER)))
}
