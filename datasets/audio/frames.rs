//! MPEG audio and ADTS as frames: files without an index, in which each frame says only how long it is.
//!
//! Bytes flow in; frames flow out, each with the bytes that were no frame before it. Tags before, between and behind frames are passed over. Where a
//! frame is not followed by another, the next place is sought from which several follow each other: random bytes hold headers, but no rows of them.
//!
//! Knows nothing of what is in a frame.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// Headers in a row that make a stream, where none was before.
const ROW: usize = 4;

/// Bytes that are checked together: enough for a row of the longest frames.
const WINDOW: usize = 1 << 16;

/// The longest frame: ADTS gives its length in 13 bits.
pub(super) const LONGEST: usize = 1 << 13;

/// The layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Two,
    Three,
    Aac,
}

/// The content of the header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) layer: Layer,
    pub(super) rate: u32,
    pub(super) channels: u8,
    /// Bytes of the frame, the header with it.
    pub(super) length: usize,
    /// Samples of each channel.
    pub(super) samples: u32,
    /// Bytes of the frame before its main data (MPEG layer III) or its raw data block (ADTS).
    pub(super) front: usize,
}

impl Head {
    /// Returns true if two frames can be of one stream.
    pub(super) fn is_like(&self, other: &Head) -> bool {
        (self.layer, self.rate, self.channels) == (other.layer, other.rate, other.channels)
    }

    /// Reads the header at the start of some bytes.
    pub(super) fn read(bytes: &[u8]) -> Option<Head> {
        let [0xff, second, third, fourth, ..] = *bytes else { return None };
        match (second & 0xe0, second & 0x06) {
            (0xe0, 0x02 | 0x04) => Self::mpeg(second, third, fourth),
            (0xe0, 0) if second & 0x10 != 0 => Self::adts(second, third, fourth, bytes),
            _ => None,
        }
    }

    /// ISO/IEC 11172-3 and 13818-3, 2.4.1.3.
    fn mpeg(second: u8, third: u8, fourth: u8) -> Option<Head> {
        const ONE_TWO: [u32; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
        const ONE_THREE: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const TWO: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let first_version = second & 0x08 != 0;
        let halvings = match second >> 3 & 0b11 {
            0b11 => 0,
            0b10 => 1,
            0b00 => 2,
            _ => return None,
        };
        let layer = if second & 0x06 == 0x02 { Layer::Three } else { Layer::Two };
        let rates = match (first_version, layer) {
            (true, Layer::Two) => &ONE_TWO,
            (true, _) => &ONE_THREE,
            (false, _) => &TWO,
        };
        // Of the sixteen rates, the first is free (it gives no length) and the last does not exist.
        let bits_per_second = rates.get(usize::from(third >> 4).checked_sub(1)?)? * 1000;
        let rate = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 0b11))? >> halvings;
        let samples = if layer == Layer::Three && !first_version { 576 } else { 1152 };
        let length = samples / 8 * bits_per_second / rate + u32::from(third >> 1 & 1);
        let mono = fourth >> 6 == 0b11;
        let side = match (first_version, mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        let front = 4 + if layer == Layer::Three { side } else { 0 };
        Some(Head { layer, rate, channels: 2 - u8::from(mono), length: length as usize, samples, front })
    }

    /// ISO/IEC 13818-7, 6.2: one raw data block to a frame, as all encoders write it.
    fn adts(second: u8, third: u8, fourth: u8, bytes: &[u8]) -> Option<Head> {
        const RATES: [u32; 13] = [
            96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
            7_350,
        ];
        let (fifth, sixth, seventh) = (*bytes.get(4)?, *bytes.get(5)?, *bytes.get(6)?);
        let rate = *RATES.get(usize::from(third >> 2 & 0x0f))?;
        let channels = (third & 1) << 2 | fourth >> 6;
        let channels = if channels == 7 { 8 } else { channels };
        let length = usize::from(fourth & 0b11) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
        let front = if second & 1 == 1 { 7 } else { 9 };
        let further_blocks = seventh % 4;
        let whole = length > front && further_blocks == 0 && channels > 0;
        whole.then_some(Head { layer: Layer::Aac, rate, channels, length, samples: 1024, front })
    }
}

/// The bytes of a tag that some bytes begin with: ID3v2, ID3v1, APE, Lyrics3. Of a tag that has a footer alone, that.
fn tag(bytes: &[u8]) -> Option<u64> {
    let safe =
        |at: usize| Some(bytes.get(at..at + 4)?.iter().fold(0, |sum, b| sum << 7 | u64::from(b & 0x7f)));
    let little = |at: usize| Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
    match bytes {
        [b'I', b'D', b'3', version, _, flags, ..] if *version < 0xff => {
            Some(10 + safe(6)? + if flags & 0x10 != 0 { 10 } else { 0 })
        }
        [b'T', b'A', b'G', ..] => Some(128),
        // The size is of what comes behind the header, and of what came before a footer.
        _ if bytes.starts_with(b"APETAGEX") => {
            let is_header = little(20)? & 0x2000_0000 != 0;
            Some(32 + if is_header { little(12)? } else { 0 })
        }
        _ if bytes.starts_with(b"LYRICSBEGIN") => {
            let end = bytes.windows(9).position(|nine| nine == b"LYRICS200" || nine == b"LYRICSEND")?;
            Some(end as u64 + 9)
        }
        _ => None,
    }
}

/// Returns true if some bytes begin with a tag.
pub(super) fn is_tag(bytes: &[u8]) -> bool {
    tag(bytes).is_some()
}

/// Bytes in front of the footer of an APE tag that are its own.
fn in_tag(bytes: &[u8]) -> u64 {
    let size = bytes.strip_prefix(b"APETAGEX").and_then(|rest| rest.get(4..8)?.try_into().ok());
    size.map_or(0, |size| u64::from(u32::from_le_bytes(size)).saturating_sub(32))
}

/// Bytes of tags that some bytes begin with; of silence, too, where no tag is.
pub(super) fn front(bytes: &[u8]) -> u64 {
    tag(bytes).unwrap_or_else(|| bytes.iter().take_while(|byte| **byte == 0).count() as u64)
}

/// Returns how many headers follow each other from the start of some bytes, up to `enough`; a row that ends with the bytes (or before a tag) is
/// as long as any if `at_end`.
fn row(bytes: &[u8], enough: usize, at_end: bool) -> usize {
    let (mut at, mut first) = (0, None);
    for count in 0..enough {
        let rest = bytes.get(at..).unwrap_or_default();
        if count > 0 && (rest.is_empty() && at_end || tag(rest).is_some()) {
            return enough;
        }
        let Some(head) = Head::read(rest) else { return count };
        if !first.get_or_insert(head).is_like(&head) {
            return count;
        }
        at += head.length;
    }
    enough
}

/// The place, in the length of the longest frame, from which frames follow each other.
pub(super) fn sync(bytes: &[u8], at_end: bool) -> Option<usize> {
    (0..bytes.len().min(LONGEST)).find(|at| {
        let rest = bytes.get(*at..).unwrap_or_default();
        rest.first() == Some(&0xff) && row(rest, ROW, at_end) == ROW
    })
}

/// One frame, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame, and how many bytes before it are none; of them, all may be zero.
    Frame { head: Head, bytes: Vec<u8>, skipped: u64, zeros: bool },
    /// The last frame is not whole.
    Truncated,
    /// No frame follows; so many bytes behind the last are none and no tag.
    End { skipped: u64 },
}

/// The frames of a source.
pub(super) struct Frames {
    source: Box<dyn MediaSource>,
    /// Bytes read and not given.
    window: Vec<u8>,
    /// True if the source has no more than the window.
    at_end: bool,
    /// The header of the last frame.
    last: Option<Head>,
}

impl Frames {
    pub(super) fn new(source: Box<dyn MediaSource>) -> Self {
        Self { source, window: Vec::new(), at_end: false, last: None }
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let (mut skipped, mut zeros) = (0, true);
        loop {
            self.fill()?;
            if let Some(length) = tag(&self.window) {
                skipped = if in_tag(&self.window) >= skipped { 0 } else { skipped };
                self.pass(length)?;
                continue;
            }
            if self.window.is_empty() {
                return Ok(Next::End { skipped: if zeros { 0 } else { skipped } });
            }
            if let Some(head) = Head::read(&self.window) {
                let follows = skipped == 0 && self.last.is_some_and(|last| last.is_like(&head));
                let is_whole = self.window.len() >= head.length;
                if follows && !is_whole {
                    return Ok(Next::Truncated);
                }
                if is_whole && (follows || row(&self.window, ROW, self.at_end) == ROW) {
                    let bytes: Vec<u8> = self.window.drain(..head.length).collect();
                    self.last = Some(head);
                    return Ok(Next::Frame { head, bytes, skipped, zeros });
                }
            }
            let ahead = self.window.get(1..).unwrap_or_default();
            let free = 1 + sync(ahead, self.at_end).unwrap_or(ahead.len().min(LONGEST));
            // A tag can stand behind the bytes that are none.
            let is_tag = |at: &usize| self.window.get(*at..).is_some_and(|rest| tag(rest).is_some());
            let free = (1..free).find(is_tag).unwrap_or(free);
            zeros = zeros && self.window.iter().take(free).all(|byte| *byte == 0);
            skipped += free as u64;
            self.window.drain(..free);
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.window.len() < WINDOW / 2 && !self.at_end {
            let wanted = (WINDOW - self.window.len()) as u64;
            let read = self.source.by_ref().take(wanted).read_to_end(&mut self.window)?;
            self.at_end = (read as u64) < wanted;
        }
        Ok(())
    }

    /// Passes over bytes that may be more than the window holds.
    fn pass(&mut self, length: u64) -> io::Result<()> {
        let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.window.len());
        self.window.drain(..here);
        let beyond = length - here as u64;
        if beyond > 0 {
            self.source.seek(SeekFrom::Current(i64::try_from(beyond).unwrap_or(i64::MAX)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// Lengths of frames and of what is none, in order; what ends them last.
    fn describe(bytes: &[u8]) -> Vec<String> {
        let mut frames = Frames::new(Box::new(Cursor::new(bytes.to_vec())));
        let (mut all, mut sum) = (Vec::new(), 0);
        loop {
            match frames.next().unwrap() {
                Next::Frame { head, bytes: frame, skipped, .. } => {
                    assert_eq!(frame.len(), head.length);
                    sum += skipped + frame.len() as u64;
                    assert!(sum <= bytes.len() as u64, "more than there is");
                    if skipped > 0 {
                        all.push(format!("-{skipped}"));
                    }
                    all.push(frame.len().to_string());
                }
                Next::Truncated => all.push("cut".to_owned()),
                Next::End { skipped } => all.push(format!("end -{skipped}")),
            }
            if all.last().is_some_and(|last| last == "cut" || last.starts_with("end")) {
                return all;
            }
        }
    }

    /// A frame of MP3 at 32 kbit/s and 16 kHz, 144 bytes; of 8 kHz, 288.
    fn mp3(rate: u8) -> Vec<u8> {
        let mut frame = vec![0x11; if rate == 16 { 144 } else { 288 }];
        frame[..4].copy_from_slice(if rate == 16 {
            &[0xff, 0xf3, 0x48, 0xc4]
        } else {
            &[0xff, 0xe3, 0x48, 0xc4]
        });
        frame
    }

    /// A frame of AAC at 16 kHz, 100 bytes.
    fn adts() -> Vec<u8> {
        [&[0xff, 0xf1, 0x60, 0x40, 0x0c, 0x9f, 0xfc][..], &[0x22; 93]].concat()
    }

    #[test]
    fn headers() {
        let check = |bytes: &[u8], expected: Option<(Layer, u32, u8, usize, u32)>| {
            let head = Head::read(bytes);
            assert_eq!(
                head.map(|h| (h.layer, h.rate, h.channels, h.length, h.samples)),
                expected,
                "{bytes:x?}"
            );
        };
        check(&mp3(16), Some((Layer::Three, 16_000, 1, 144, 576)));
        check(&mp3(8), Some((Layer::Three, 8_000, 1, 288, 576)));
        check(&[0xff, 0xfb, 0x90, 0x00], Some((Layer::Three, 44_100, 2, 417, 1152)));
        check(&[0xff, 0xfb, 0x92, 0x00], Some((Layer::Three, 44_100, 2, 418, 1152)));
        check(&[0xff, 0xfd, 0xa4, 0x00], Some((Layer::Two, 48_000, 2, 576, 1152)));
        check(&adts(), Some((Layer::Aac, 16_000, 1, 100, 1024)));
        // Reserved values, free rates, layer I, nothing.
        for wrong in [
            [0xff, 0xeb, 0x90, 0],
            [0xff, 0xfb, 0x9c, 0],
            [0xff, 0xfb, 0, 0],
            [0xff, 0xfb, 0xf0, 0],
            [0xff; 4],
            [0; 4],
        ] {
            check(&wrong, None);
        }
        check(&[0xff, 0xfb, 0x90], None);
        check(&adts()[..6], None);
    }

    #[test]
    fn frames_and_what_lies_between_them() {
        let check =
            |parts: &[&[u8]], expected: &str| assert_eq!(describe(&parts.concat()).join(" "), expected);
        let (five, aac) = (mp3(16).repeat(5), adts().repeat(5));
        check(&[&five], "144 144 144 144 144 end -0");
        check(&[&aac], "100 100 100 100 100 end -0");
        check(&[&mp3(16)], "144 end -0");
        check(&[&five[..300]], "144 144 cut");
        check(&[&five, &five[..70]], "144 144 144 144 144 cut");
        check(&[&five[50..]], "-94 144 144 144 144 end -0");
        check(&[&[0; 999], &five], "-999 144 144 144 144 144 end -0");
        check(&[&five, &[0; 999]], "144 144 144 144 144 end -0");
        check(&[&five, &[7; 999]], "144 144 144 144 144 end -999");
        check(&[&five, &[7; 99], &five], "144 144 144 144 144 -99 144 144 144 144 144 end -0");
        check(&[&five, &mp3(8).repeat(4)], "144 144 144 144 144 288 288 288 288 end -0");
        check(&[&five, &mp3(8)], "144 144 144 144 144 288 end -0");
        check(&[&five, b"ID3\x03\0\0\0\0\0\x03abc", &five[..288]], "144 144 144 144 144 144 144 end -0");
        check(&[b"no frames at all"], "end -16");
        check(&[], "end -0");
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..300),
                    prop::sample::select(vec![mp3(16), mp3(8), adts(), b"ID3\x03\0\0\0\0\0\x03".to_vec(), b"APETAGEX".to_vec(), b"TAG".to_vec()]),
                ],
                0..20,
            ),
        ) {
            describe(&parts.concat());
        }
    }
}
