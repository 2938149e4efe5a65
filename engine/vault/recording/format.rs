//! The first part of each frame of a recording, as bytes and back. Reading never panics: bytes that are not a part of a recording give
//! `None`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{RecordedEnd, RecordedTotals, RecordingHead};
use crate::Result;
use crate::secret;
use crate::wire::{Fields, put_bytes};

pub(super) const MAGIC: &[u8; 8] = b"HWRECORD";
pub(super) const VERSION: u16 = 1;
const CHECK_BYTES: usize = 8;

const HEAD: u8 = 1;
const ROWS: u8 = 2;
const END: u8 = 3;
const TOTALS: u8 = 4;

const WATERMARK: u8 = 1;
const ROUND_END: u8 = 2;
const END_OF_INPUT: u8 = 4;

/// The head of a recording without the columns, which are in parts of their own.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) pipeline: String,
    pub(super) facts: BTreeMap<String, String>,
    /// Name and label of each port.
    pub(super) ports: Vec<(String, String)>,
}

/// The first part of a frame.
#[derive(Debug, PartialEq)]
pub(super) enum First {
    Head(Head),
    /// A recording of another version.
    Version(u16),
    /// Rows of a port, after so many rows.
    Rows(u32, u64),
    End(RecordedEnd),
    Totals(RecordedTotals),
}

pub(super) fn head(head: &RecordingHead) -> Result<Zeroizing<Vec<u8>>> {
    let port = |port: &super::RecordedPort| json!({ "name": port.name, "label": port.label });
    let ports: Vec<Value> = head.ports.iter().map(port).collect();
    let text = json!({ "pipeline": head.pipeline, "facts": head.facts, "ports": ports }).to_string();
    let mut plain = Zeroizing::new(vec![HEAD]);
    plain.extend(MAGIC);
    plain.extend(VERSION.to_le_bytes());
    put_bytes(&mut plain, text.as_bytes())?;
    let check: [u8; CHECK_BYTES] = secret::prefix(&secret::digest(&[&plain]));
    plain.extend(check);
    Ok(plain)
}

pub(super) fn rows(port: u32, before: u64) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(vec![ROWS]);
    plain.extend(port.to_le_bytes());
    plain.extend(before.to_le_bytes());
    plain
}

pub(super) fn end(end: &RecordedEnd) -> Zeroizing<Vec<u8>> {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(end.watermark.is_some(), WATERMARK)
        | flag(end.round_end, ROUND_END)
        | flag(end.end_of_input, END_OF_INPUT);
    let mut plain = Zeroizing::new(vec![END]);
    plain.extend(end.epoch.to_le_bytes());
    plain.extend(end.round.to_le_bytes());
    plain.push(flags);
    plain.extend(end.watermark.unwrap_or(0).to_le_bytes());
    plain
}

pub(super) fn totals(totals: RecordedTotals) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(vec![TOTALS]);
    plain.extend(totals.rows.to_le_bytes());
    plain.extend(totals.ends.to_le_bytes());
    plain
}

/// Reads the first part of a frame.
pub(super) fn read(plain: &[u8]) -> Option<First> {
    let mut fields = Fields(plain);
    match fields.u8()? {
        HEAD => read_head(plain),
        ROWS => {
            let first = First::Rows(fields.u32()?, fields.u64()?);
            fields.end().map(|()| first)
        }
        END => {
            let (epoch, round, flags) = (fields.u64()?, fields.u64()?, fields.u8()?);
            let watermark = fields.u64()?.cast_signed();
            let known = flags & !(WATERMARK | ROUND_END | END_OF_INPUT) == 0;
            let plausible = known && (flags & WATERMARK != 0 || watermark == 0);
            fields.end().filter(|()| plausible)?;
            Some(First::End(RecordedEnd {
                epoch,
                round,
                watermark: (flags & WATERMARK != 0).then_some(watermark),
                round_end: flags & ROUND_END != 0,
                end_of_input: flags & END_OF_INPUT != 0,
            }))
        }
        TOTALS => {
            let first = First::Totals(RecordedTotals { rows: fields.u64()?, ends: fields.u64()? });
            fields.end().map(|()| first)
        }
        _ => None,
    }
}

fn read_head(plain: &[u8]) -> Option<First> {
    let mut fields = Fields(plain.get(1..)?);
    if fields.array::<8>()? != *MAGIC {
        return None;
    }
    let version = fields.u16()?;
    if version != VERSION {
        return Some(First::Version(version));
    }
    let text = fields.bytes()?;
    let check: [u8; CHECK_BYTES] = fields.array()?;
    fields.end()?;
    let checked = plain.get(..plain.len() - CHECK_BYTES)?;
    if secret::prefix::<CHECK_BYTES>(&secret::digest(&[checked])) != check {
        return None;
    }
    let head: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let fact = |(name, value): (&String, &Value)| Some((name.clone(), word(value)?));
    let port = |port: &Value| Some((word(port.get("name")?)?, word(port.get("label")?)?));
    Some(First::Head(Head {
        pipeline: word(head.get("pipeline")?)?,
        facts: head.get("facts")?.as_object()?.iter().map(fact).collect::<Option<_>>()?,
        ports: head.get("ports")?.as_array()?.iter().map(port).collect::<Option<_>>()?,
    }))
}

/// Reads any bytes as a first part and, where they are one, writes them again: the entry point of a fuzzer.
pub(crate) fn fuzz(bytes: &[u8]) {
    let again = match read(bytes) {
        Some(First::Rows(port, before)) => rows(port, before),
        Some(First::End(ended)) => end(&ended),
        Some(First::Totals(sums)) => totals(sums),
        Some(First::Head(_) | First::Version(_)) | None => return,
    };
    debug_assert!(*again == bytes, "what was read is not what is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_end() -> impl Strategy<Value = RecordedEnd> {
        let parts = (any::<u64>(), any::<u64>(), any::<Option<i64>>(), any::<bool>(), any::<bool>());
        parts.prop_map(|(epoch, round, watermark, round_end, end_of_input)| RecordedEnd {
            epoch,
            round,
            watermark,
            round_end,
            end_of_input,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ended in any_end(), port: u32, before: u64, sums: (u64, u64)) {
            prop_assert_eq!(read(&end(&ended)), Some(First::End(ended)));
            prop_assert_eq!(read(&rows(port, before)), Some(First::Rows(port, before)));
            let sums = RecordedTotals { rows: sums.0, ends: sums.1 };
            prop_assert_eq!(read(&totals(sums)), Some(First::Totals(sums)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), kind in 0u8..6) {
            fuzz(&bytes);
            fuzz(&[&[kind], &bytes[..]].concat());
        }
    }

    #[test]
    fn a_head_is_whole_or_refused() {
        let facts = BTreeMap::from([("cpu".to_owned(), "avx2".to_owned())]);
        let written = head(&RecordingHead { pipeline: "p".into(), facts: facts.clone(), ports: Vec::new() });
        let written = written.unwrap();
        let expected = Head { pipeline: "p".into(), facts, ports: Vec::new() };
        assert_eq!(read(&written), Some(First::Head(expected)));
        for cut in 0..written.len() {
            assert_eq!(read(&written[..cut]), None, "cut at {cut}");
        }
        // Behind the version, the checksum detects a changed byte.
        for at in 11..written.len() {
            let mut changed = written.to_vec();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "changed at {at}");
        }
        let mut newer = written.to_vec();
        newer[9] = 2;
        assert_eq!(read(&newer), Some(First::Version(2)));
    }
}
