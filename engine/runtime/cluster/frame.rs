//! Frames: the messages of processes beside the dataflow (docs/formats/cluster.md).
//!
//! In: a kind and a body, or bytes from a connection. Out: a frame with magic, version, length and checksum, or the reason why the
//! bytes are none. It must not know what a body means.

use std::fmt;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// The first bytes of every frame.
const MAGIC: [u8; 4] = *b"HWCL";
/// The version of the frames and of all messages in them.
pub(super) const VERSION: u8 = 1;
/// Bytes before the body: magic, version, kind, length.
const HEAD: usize = 10;
/// Bytes of the checksum behind the body.
const CHECK: usize = 8;
/// The largest body that is read or written: a bound on what a stranger can make this process allocate.
pub(super) const LIMIT: usize = 1 << 20;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Why no frame could be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The connection ended between two frames.
    Closed,
    /// Nothing came in time.
    Silent,
    Io(io::Error),
    NotOurs,
    Version(u8),
    TooLong(usize),
    Damaged,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Closed => f.write_str("the connection was closed"),
            Unread::Silent => f.write_str("nothing came in time"),
            Unread::Io(error) => write!(f, "{error}"),
            Unread::NotOurs => f.write_str("not a frame of a cluster"),
            Unread::Version(found) => {
                write!(f, "it speaks version {found} of the frames, and this program version {VERSION}")
            }
            Unread::TooLong(length) => {
                write!(f, "a frame of {length} bytes, where at most {LIMIT} are taken")
            }
            Unread::Damaged => f.write_str("a frame was damaged on its way"),
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Unread::Silent,
            // Who is killed closes nothing in order.
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => Unread::Closed,
            _ => Unread::Io(error),
        }
    }
}

impl Frame {
    pub(super) fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let mut out = Vec::with_capacity(HEAD + self.body.len() + CHECK);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.kind]);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.body);
        let check = checksum(&out);
        out.extend_from_slice(&check);
        out
    }

    /// Reads one frame. A length is believed only up to the limit, and before anything is allocated.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, Unread> {
        let mut all = vec![0; HEAD];
        fill(reader, &mut all, true)?;
        let (Some((magic, rest)), true) = (all.split_first_chunk::<4>(), all.len() == HEAD) else {
            return Err(Unread::Damaged);
        };
        if *magic != MAGIC {
            return Err(Unread::NotOurs);
        }
        let [version, kind, a, b, c, d] = rest else { return Err(Unread::Damaged) };
        if *version != VERSION {
            return Err(Unread::Version(*version));
        }
        let kind = *kind;
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
        if length > LIMIT {
            return Err(Unread::TooLong(length));
        }
        all.resize(HEAD + length + CHECK, 0);
        fill(reader, all.get_mut(HEAD..).unwrap_or_default(), false)?;
        let (said, check) = all.split_at(HEAD + length);
        if checksum(said) != *check {
            return Err(Unread::Damaged);
        }
        Ok(Frame { kind, body: said.get(HEAD..).unwrap_or_default().to_vec() })
    }

    pub(super) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        if self.body.len() > LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                Unread::TooLong(self.body.len()).to_string(),
            ));
        }
        writer.write_all(&self.encode())?;
        writer.flush()
    }
}

/// Fills a buffer. An end before its first byte is the end of a conversation where a frame may begin.
fn fill(reader: &mut impl Read, mut buffer: &mut [u8], may_end: bool) -> Result<(), Unread> {
    let mut begun = !may_end;
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) if begun => return Err(Unread::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(0) => return Err(Unread::Closed),
            Ok(n) => {
                begun = true;
                buffer = buffer.get_mut(n..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The first bytes of SHA-256: they detect damage, not malice.
fn checksum(bytes: &[u8]) -> [u8; CHECK] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk::<CHECK>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(mut bytes: &[u8]) -> Result<Frame, String> {
        Frame::read(&mut bytes).map_err(|unread| unread.to_string())
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let good = Frame { kind: 3, body: b"a body".to_vec() }.encode();
        let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
            let mut bytes = good.clone();
            change(&mut bytes);
            assert!(read(&bytes).unwrap_err().contains(expected), "{expected}: {:?}", read(&bytes));
        };
        check(&|b| b.clear(), "was closed");
        check(&|b| b.truncate(5), "unexpected end of file");
        check(&|b| b.truncate(20), "unexpected end of file");
        check(&|b| b[0] = b'G', "not a frame of a cluster");
        check(&|b| b[4] = 9, "version 9 of the frames, and this program version 1");
        check(
            &|b| b[6..10].copy_from_slice(&u32::MAX.to_le_bytes()),
            "4294967295 bytes, where at most 1048576",
        );
        for at in [5, 10, 12, 16, 23] {
            check(&move |b: &mut Vec<u8>| b[at] ^= 1, "damaged");
        }
    }

    #[test]
    fn a_body_beyond_the_limit_is_not_sent() {
        let frame = Frame { kind: 1, body: vec![0; LIMIT + 1] };
        assert!(frame.write(&mut Vec::new()).unwrap_err().to_string().contains("1048577 bytes"));
    }

    proptest! {
        #[test]
        fn frames_come_back(kind: u8, body in prop::collection::vec(any::<u8>(), 0..300)) {
            let frame = Frame { kind, body };
            prop_assert_eq!(read(&frame.encode()), Ok(frame));
        }

        #[test]
        fn bytes_are_a_frame_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
