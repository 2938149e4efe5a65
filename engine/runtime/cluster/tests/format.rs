//! The messages of version 1, kept in tests/golden/cluster, are written and read as they were. `HEADWATER_BLESS=1` writes them
//! again, which only a new version should need.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use headwater_contract::RowId;
use headwater_contract::conformance::text_rows;
use headwater_contract::units::Epoch;

use super::super::frame::Frame;
use super::super::message::{Answer, Hello, Message, Purpose, Verdict};
use super::super::{Counts, Failure, Fingerprint};
use crate::digest::SinkDigest;
use crate::instance::{Cause, PoisonRow};
use crate::metrics::StageCounts;
use crate::plan::{OutPort, PortRef};

/// One of each kind, and the sums of a digest as a part.
fn messages() -> Vec<Message> {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add("file", "sha256 0123456789abcdef");
    fingerprint.add("param talk", "talk.jsonl");
    let hello = |purpose, fingerprint| {
        Message::Hello(Hello {
            purpose,
            from: 2,
            to: 0,
            name: "west".into(),
            attempt: [1; 16],
            echo: [2; 16],
            nonce: [3; 16],
            fingerprint,
        })
    };
    let answer =
        |verdict| Message::Answer(Answer { verdict, from: 0, attempt: [1; 16], echo: [3; 16], begin: 12 });
    let stage = StageCounts {
        rows_in: 1,
        rows_out: 2,
        rejected: 3,
        cpu: Duration::from_nanos(4),
        queued: 5,
        held: 7,
        metrics: [(Cow::Borrowed("new_rows"), 6)].into(),
    };
    let counts = Counts { stages: vec![stage, StageCounts::default()], ..Counts::default() };
    let row = RowId { device: "hall".into(), source: "mic".into(), seq: 7, part: 1 };
    let failure = |epoch, row| Failure { epoch, row, ..Failure::new("asr", "it failed") };
    let panic = |row| Cause::Panic(Box::new(PoisonRow { stage: "train".into(), epoch: Epoch(9), row }));
    let digest = SinkDigest::of(&text_rows(&[("hall", "one"), ("attic", "two")]).unwrap()).unwrap();
    vec![
        Message::Greeting([2; 16]),
        hello(Purpose::Control, fingerprint),
        hello(Purpose::Data, Fingerprint::default()),
        answer(Verdict::Welcome),
        answer(Verdict::Later("not yet".into())),
        answer(Verdict::Refused("never".into())),
        Message::Meet,
        Message::Met,
        Message::Begin,
        Message::Beat(counts.clone()),
        Message::Failed(failure(Some(Epoch(9)), Some(row.clone()))),
        Message::Failed(failure(None, None)),
        Message::Stop,
        Message::Part { of: "digest 3".into(), bytes: digest.encode() },
        Message::Noted { of: "heard".into(), bytes: b"[]".to_vec() },
        Message::Done(counts),
        Message::End("process 1 (`west`): went away".into()),
        Message::Bye,
        Message::StatePartitions { last: true, bytes: vec![1, 2, 3] },
        Message::LeftOpen(Epoch(12)),
        Message::Cause(panic(None)),
        Message::Cause(panic(Some((1, row.clone())))),
        Message::Cause(Cause::DiskSpace),
        Message::Tap(vec![
            PortRef { stage: 2, port: OutPort::Out(1) },
            PortRef { stage: 3, port: OutPort::Rejected },
        ]),
        Message::TapRows { port: PortRef { stage: 2, port: OutPort::Out(1) }, missed: 4, bytes: vec![5] },
    ]
}

#[test]
fn messages_of_version_1_are_written_and_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/cluster/messages.bin");
    let written: Vec<u8> = messages().iter().flat_map(|message| message.frame().encode()).collect();
    if std::env::var_os("HEADWATER_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &written).unwrap();
    }
    let kept = std::fs::read(&path).expect("the kept file is there; HEADWATER_BLESS=1 writes it");
    assert!(written == kept, "messages changed: they need a new version");
    let mut rest = kept.as_slice();
    for expected in messages() {
        assert_eq!(Message::of(&Frame::read(&mut rest).unwrap()), Some(expected));
    }
    assert!(rest.is_empty());
}
