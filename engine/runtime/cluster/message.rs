//! Messages between processes: the hello on a fresh connection, and all that goes over the control channel to the coordinator.
//!
//! In: messages, or frames. Out: frames, or messages; bytes that are not a message are `None`. It must not know which message is allowed
//! when.

use headwater_contract::RowId;
use headwater_contract::units::Epoch;

use super::fingerprint::Fingerprint;
use super::frame::Frame;
use super::wire::{Fields, put_bytes, put_len, put_text, put_u64};
use crate::instance::{Cause, Failure, PoisonRow};
use crate::metrics::Counts;
use crate::plan::{OutPort, PortRef};

/// Sixteen random bytes.
pub(super) type Nonce = [u8; 16];

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The control channel of a process to the coordinator.
    Control,
    /// The dataflow between two processes.
    Data,
}

/// The hello of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) purpose: Purpose,
    /// The index of the process that calls, and of the one that it means to call.
    pub(super) from: usize,
    pub(super) to: usize,
    /// The name of the one that calls.
    pub(super) name: String,
    /// The attempt that it belongs to; zeros where it has none yet.
    pub(super) attempt: Nonce,
    /// The nonce of the greeting: a hello that was recorded has another.
    pub(super) echo: Nonce,
    /// To be given back in the answer.
    pub(super) nonce: Nonce,
    /// On the control channel to the coordinator: what must be equal everywhere.
    pub(super) fingerprint: Fingerprint,
}

/// The verdict on a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// The one that was called is not ready for it: call again.
    Later(String),
    Refused(String),
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// The index of the one that answers.
    pub(super) from: usize,
    pub(super) attempt: Nonce,
    /// The hello's nonce.
    pub(super) echo: Nonce,
    /// The epoch that the run begins with.
    pub(super) begin: u64,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// The first word on a connection, from the one that was called.
    Greeting(Nonce),
    Hello(Hello),
    Answer(Answer),
    /// From the coordinator: all processes are there, connect to each other.
    Meet,
    /// To the coordinator: my connections stand.
    Met,
    /// From the coordinator: all connections stand, begin.
    Begin,
    /// I am alive, and have counted so much.
    Beat(Counts),
    /// To the coordinator: this ended the run here.
    Failed(Failure),
    /// To the coordinator: stop the run.
    Stop,
    /// To the coordinator: a piece of something that is put together there.
    Part {
        of: String,
        bytes: Vec<u8>,
    },
    /// To the coordinator: what was noted since the last beat.
    Noted {
        of: String,
        bytes: Vec<u8>,
    },
    /// To the coordinator: my part of the run is over; all pieces were sent.
    Done(Counts),
    /// From the coordinator: the run ends early, and this is why.
    End(String),
    /// From the coordinator: the run is over.
    Bye,
    /// From the coordinator: a piece of what a process begins with.
    StatePartitions {
        last: bool,
        bytes: Vec<u8>,
    },
    /// From the coordinator: this epoch is left open; the run is over when all before it have taken effect.
    LeftOpen(Epoch),
    /// To the coordinator, before what ended the run there: what another attempt can do about it.
    Cause(Cause),
    /// From the coordinator: tap these ports, and no others.
    Tap(Vec<PortRef>),
    /// To the coordinator: rows that left by a port, as an Arrow IPC stream, and how many passed unseen.
    TapRows {
        port: PortRef,
        missed: u64,
        bytes: Vec<u8>,
    },
}

impl Message {
    pub(super) fn frame(&self) -> Frame {
        let mut body = Vec::new();
        let kind = match self {
            Message::Greeting(nonce) => {
                body.extend_from_slice(nonce);
                1
            }
            Message::Hello(hello) => {
                put_hello(&mut body, hello);
                2
            }
            Message::Answer(answer) => {
                put_answer(&mut body, answer);
                3
            }
            Message::Meet => 4,
            Message::Met => 5,
            Message::Begin => 6,
            Message::Beat(counts) => {
                counts.encode(&mut body);
                7
            }
            Message::Failed(failure) => {
                put_failure(&mut body, failure);
                8
            }
            Message::Stop => 9,
            Message::Part { of, bytes } => {
                put_text(&mut body, of);
                put_bytes(&mut body, bytes);
                10
            }
            Message::Done(counts) => {
                counts.encode(&mut body);
                11
            }
            Message::End(why) => {
                put_text(&mut body, why);
                12
            }
            Message::Bye => 13,
            Message::StatePartitions { last, bytes } => {
                body.push(u8::from(*last));
                put_bytes(&mut body, bytes);
                14
            }
            Message::LeftOpen(epoch) => {
                put_u64(&mut body, epoch.0);
                15
            }
            Message::Cause(cause) => {
                put_cause(&mut body, cause);
                16
            }
            Message::Tap(ports) => {
                put_len(&mut body, ports.len());
                ports.iter().for_each(|port| put_port(&mut body, *port));
                17
            }
            Message::TapRows { port, missed, bytes } => {
                put_port(&mut body, *port);
                put_u64(&mut body, *missed);
                put_bytes(&mut body, bytes);
                18
            }
            Message::Noted { of, bytes } => {
                put_text(&mut body, of);
                put_bytes(&mut body, bytes);
                19
            }
        };
        Frame { kind, body }
    }

    pub(super) fn of(frame: &Frame) -> Option<Self> {
        let mut fields = Fields(&frame.body);
        let message = match frame.kind {
            1 => Message::Greeting(fields.array()?),
            2 => Message::Hello(hello(&mut fields)?),
            3 => Message::Answer(answer(&mut fields)?),
            4 => Message::Meet,
            5 => Message::Met,
            6 => Message::Begin,
            7 => Message::Beat(Counts::decode(&mut fields)?),
            8 => Message::Failed(failure(&mut fields)?),
            9 => Message::Stop,
            10 => Message::Part { of: fields.text()?.to_owned(), bytes: fields.bytes()?.to_vec() },
            11 => Message::Done(Counts::decode(&mut fields)?),
            12 => Message::End(fields.text()?.to_owned()),
            13 => Message::Bye,
            14 => Message::StatePartitions { last: flag(&mut fields)?, bytes: fields.bytes()?.to_vec() },
            15 => Message::LeftOpen(Epoch(fields.u64()?)),
            16 => Message::Cause(cause(&mut fields)?),
            17 => Message::Tap(fields.list(port)?),
            18 => Message::TapRows {
                port: port(&mut fields)?,
                missed: fields.u64()?,
                bytes: fields.bytes()?.to_vec(),
            },
            19 => Message::Noted { of: fields.text()?.to_owned(), bytes: fields.bytes()?.to_vec() },
            _ => return None,
        };
        fields.end().map(|()| message)
    }
}

/// The port by which a stage rejects, among those that are counted.
const REJECTED: u64 = u64::MAX;

fn put_port(body: &mut Vec<u8>, port: PortRef) {
    put_len(body, port.stage);
    match port.port {
        OutPort::Out(number) => put_len(body, number),
        OutPort::Rejected => put_u64(body, REJECTED),
    }
}

fn port(fields: &mut Fields<'_>) -> Option<PortRef> {
    let (stage, number) = (fields.index()?, fields.u64()?);
    let port =
        if number == REJECTED { OutPort::Rejected } else { OutPort::Out(usize::try_from(number).ok()?) };
    Some(PortRef { stage, port })
}

fn flag(fields: &mut Fields<'_>) -> Option<bool> {
    match fields.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn put_hello(body: &mut Vec<u8>, hello: &Hello) {
    body.push(match hello.purpose {
        Purpose::Control => 0,
        Purpose::Data => 1,
    });
    put_len(body, hello.from);
    put_len(body, hello.to);
    put_text(body, &hello.name);
    for nonce in [hello.attempt, hello.echo, hello.nonce] {
        body.extend_from_slice(&nonce);
    }
    hello.fingerprint.encode(body);
}

fn hello(fields: &mut Fields<'_>) -> Option<Hello> {
    let purpose = match fields.u8()? {
        0 => Purpose::Control,
        1 => Purpose::Data,
        _ => return None,
    };
    Some(Hello {
        purpose,
        from: fields.index()?,
        to: fields.index()?,
        name: fields.text()?.to_owned(),
        attempt: fields.array()?,
        echo: fields.array()?,
        nonce: fields.array()?,
        fingerprint: Fingerprint::decode(fields)?,
    })
}

fn put_answer(body: &mut Vec<u8>, answer: &Answer) {
    let (verdict, why) = match &answer.verdict {
        Verdict::Welcome => (0, ""),
        Verdict::Later(why) => (1, why.as_str()),
        Verdict::Refused(why) => (2, why.as_str()),
    };
    body.push(verdict);
    put_text(body, why);
    put_len(body, answer.from);
    body.extend_from_slice(&answer.attempt);
    body.extend_from_slice(&answer.echo);
    put_u64(body, answer.begin);
}

fn answer(fields: &mut Fields<'_>) -> Option<Answer> {
    let verdict = fields.u8()?;
    let why = fields.text()?.to_owned();
    let verdict = match verdict {
        0 => Verdict::Welcome,
        1 => Verdict::Later(why),
        2 => Verdict::Refused(why),
        _ => return None,
    };
    Some(Answer {
        verdict,
        from: fields.index()?,
        attempt: fields.array()?,
        echo: fields.array()?,
        begin: fields.u64()?,
    })
}

fn put_failure(body: &mut Vec<u8>, failure: &Failure) {
    put_text(body, &failure.stage);
    put_text(body, &failure.what);
    body.push(u8::from(failure.epoch.is_some()));
    put_u64(body, failure.epoch.unwrap_or_default().0);
    put_row(body, failure.row.as_ref());
}

/// Returns true if there is a row, and which.
fn put_row(body: &mut Vec<u8>, row: Option<&RowId>) {
    body.push(u8::from(row.is_some()));
    if let Some(row) = row {
        put_text(body, &row.device);
        put_text(body, &row.source);
        put_u64(body, row.seq);
        put_u64(body, u64::from(row.part));
    }
}

#[expect(clippy::option_option, reason = "a row that is not there is no broken one")]
fn row(fields: &mut Fields<'_>) -> Option<Option<RowId>> {
    if !flag(fields)? {
        return Some(None);
    }
    let (device, source, seq) = (fields.text()?.into(), fields.text()?.into(), fields.u64()?);
    Some(Some(RowId { device, source, seq, part: u32::try_from(fields.u64()?).ok()? }))
}

fn put_cause(body: &mut Vec<u8>, cause: &Cause) {
    match cause {
        Cause::Lasting => body.push(0),
        Cause::Panic(poison_row) => {
            let PoisonRow { stage, epoch, row } = &**poison_row;
            body.push(1);
            put_text(body, stage);
            put_u64(body, epoch.0);
            put_len(body, row.as_ref().map_or(0, |(port, _)| *port));
            put_row(body, row.as_ref().map(|(_, row)| row));
        }
        Cause::DiskSpace => body.push(2),
    }
}

fn cause(fields: &mut Fields<'_>) -> Option<Cause> {
    Some(match fields.u8()? {
        0 => Cause::Lasting,
        1 => {
            let (stage, epoch, port) = (fields.text()?.to_owned(), Epoch(fields.u64()?), fields.index()?);
            let row = row(fields)?.map(|row| (port, row));
            if row.is_none() && port != 0 {
                return None;
            }
            Cause::Panic(Box::new(PoisonRow { stage, epoch, row }))
        }
        2 => Cause::DiskSpace,
        _ => return None,
    })
}

fn failure(fields: &mut Fields<'_>) -> Option<Failure> {
    let (stage, what) = (fields.text()?.to_owned(), fields.text()?.to_owned());
    let epoch = (fields.u8()? != 0).then_some(());
    let number = Epoch(fields.u64()?);
    let row = row(fields)?;
    Some(Failure { epoch: epoch.map(|()| number), row, ..Failure::new(stage, what) })
}
