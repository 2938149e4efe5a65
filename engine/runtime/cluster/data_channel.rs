//! The channel of the dataflow's bytes between two processes.
//!
//! In: timely's messages as a stream of bytes. Out: the same bytes at the other end, each message's head checked on the way out
//! and on the way in: who it is from, whom it is for, how long it is. A data channel that breaks never says so to timely, which would
//! unwind through its threads: it reports to the cluster, and waits for the end of the process.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use timely::communication::allocator::zero_copy::stream::Stream;

use super::control_channel::ControlChannel;
use super::stream::Wire;

/// The longest message: far above an epoch's cap of bytes, far below what would harm a gateway.
pub(super) const LONGEST: u64 = 1 << 28;
/// Bytes of a message's head: six numbers, big-endian.
const HEAD: usize = 48;

/// A data channel to one other process.
pub(crate) struct DataChannel {
    wire: Wire,
    /// The process at the other end.
    peer: usize,
    control: Arc<ControlChannel>,
    workers: u64,
    incoming: Heads,
    outgoing: Heads,
}

impl DataChannel {
    pub(super) fn new(wire: Wire, peer: usize, control: Arc<ControlChannel>, workers: usize) -> Self {
        let workers = workers as u64;
        let (here, there) = (control.index() as u64, peer as u64);
        let (incoming, outgoing) = (Heads::new(there, here, workers), Heads::new(here, there, workers));
        DataChannel { wire, peer, control, workers, incoming, outgoing }
    }

    /// Reports that the data channel is broken, and never returns: the run ends with the process.
    fn broken(&self, why: &str) -> ! {
        self.control.data_channel_broke(self.peer, why);
        loop {
            std::thread::park();
        }
    }
}

impl Read for DataChannel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.wire.read(buffer) {
                Ok(0) if self.incoming.ended() => return Ok(0),
                Ok(0) => self.broken("it was closed"),
                Ok(n) => {
                    return match self.incoming.check(buffer.get(..n).unwrap_or_default()) {
                        Ok(()) => Ok(n),
                        Err(why) => self.broken(&why),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.broken(&error.to_string()),
            }
        }
    }
}

impl Write for DataChannel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.wire.write(bytes) {
                Ok(0) => self.broken("it takes nothing more"),
                Ok(n) => {
                    return match self.outgoing.check(bytes.get(..n).unwrap_or_default()) {
                        Ok(()) => Ok(n),
                        Err(why) => self.broken(&why),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.broken(&error.to_string()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }
}

impl Stream for DataChannel {
    fn try_clone(&self) -> io::Result<Self> {
        let workers = usize::try_from(self.workers).unwrap_or(usize::MAX);
        Ok(DataChannel::new(self.wire.another()?, self.peer, self.control.clone(), workers))
    }

    fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        // It is made blocking, and timely needs it so.
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // The other end may have gone when it had everything.
        let _ = self.wire.shutdown(how);
        Ok(())
    }
}

/// Checks the heads of messages in a stream of bytes.
#[derive(Debug)]
struct Heads {
    /// The process that sends, and the one that is meant.
    from: u64,
    to: u64,
    workers: u64,
    head: Vec<u8>,
    /// Bytes of the message at hand that are still to come.
    left: u64,
    ended: bool,
}

impl Heads {
    fn new(from: u64, to: u64, workers: u64) -> Self {
        Heads { from, to, workers, head: Vec::with_capacity(HEAD), left: 0, ended: false }
    }

    /// Returns true if the last message said that no other follows.
    fn ended(&self) -> bool {
        self.ended && self.head.is_empty()
    }

    fn check(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let body = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= body as u64;
            let (_, rest) = bytes.split_at(body);
            let missing = HEAD - self.head.len();
            let (head, rest) = rest.split_at(missing.min(rest.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            if self.head.len() == HEAD {
                self.judge()?;
                self.head.clear();
            }
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<(), String> {
        if self.ended {
            return Err("bytes came behind the end".into());
        }
        let mut numbers = self.head.chunks_exact(8).map(|bytes| {
            let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
            u64::from_be_bytes(bytes)
        });
        let mut next = || numbers.next().unwrap_or_default();
        let (_channel, source, lower, upper, length) = (next(), next(), next(), next(), next());
        if length == 0 {
            self.ended = true;
            return Ok(());
        }
        if length > LONGEST {
            return Err(format!("a message of {length} bytes, where at most {LONGEST} are taken"));
        }
        let of =
            |process: u64| process.saturating_mul(self.workers)..(process + 1).saturating_mul(self.workers);
        let meant = of(self.to);
        if !of(self.from).contains(&source) || lower >= upper || lower < meant.start || upper > meant.end {
            return Err("not a message of the dataflow".into());
        }
        self.left = length;
        Ok(())
    }
}

/// The fuzz target: any bytes as messages of a dataflow.
pub(super) fn fuzz_heads(bytes: &[u8]) {
    let mut heads = Heads::new(1, 0, 2);
    // Any fault is reported, and nothing is allocated for it.
    let _ = heads.check(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(numbers: [u64; 6], body: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        bytes.resize(bytes.len() + body, 7);
        bytes
    }

    /// From process 1 to process 0, with two workers each.
    fn tap(bytes: &[u8], piece: usize) -> Result<bool, String> {
        let mut heads = Heads::new(1, 0, 2);
        bytes.chunks(piece).try_for_each(|piece| heads.check(piece)).map(|()| heads.ended())
    }

    #[test]
    fn messages_are_told_from_what_is_none() {
        let good = [message([5, 2, 0, 1, 100, 0], 100), message([6, 3, 0, 2, 8, 1], 8)].concat();
        let end = message([0; 6], 0);
        let check = |bytes: &[&[u8]], expected: Result<bool, &str>| {
            for piece in [1, 7, 48, 1000] {
                let found = tap(&bytes.concat(), piece);
                match (&found, expected) {
                    (Ok(found), Ok(expected)) => assert_eq!(*found, expected),
                    (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                    _ => panic!("{found:?}, expected {expected:?}"),
                }
            }
        };
        check(&[&good], Ok(false));
        check(&[&good, &end], Ok(true));
        check(&[&good, &end, &good], Err("behind the end"));
        check(&[&message([5, 2, 0, 1, LONGEST + 1, 0], 0)], Err("at most 268435456 are taken"));
        // From a worker of another process, for a worker of another process, for no worker, for too many.
        for [source, lower, upper] in
            [[0, 0, 1], [4, 0, 1], [2, 2, 3], [2, 1, 1], [2, 0, 3], [2, 0, u64::MAX]]
        {
            check(&[&message([5, source, lower, upper, 8, 0], 8)], Err("not a message of the dataflow"));
        }
    }
}
