//! A connection between two processes, whatever it goes over, and the time that is left for a step.
//!
//! In: bytes. Out: bytes. It must not know what they mean.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::tls::TlsStream;

/// When something must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Deadline(Instant::now() + time)
    }

    pub(super) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Sets a timeout to what is left: so bytes that drip in one by one buy no time.
    pub(super) fn give_to(self, set: impl FnOnce(Option<Duration>) -> io::Result<()>) -> io::Result<()> {
        match self.left() {
            Some(left) => set(Some(left)),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// One connection.
pub(super) enum Wire {
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl Wire {
    /// Another handle on the same connection.
    pub(super) fn another(&self) -> io::Result<Self> {
        Ok(match self {
            Wire::Unix(stream) => Wire::Unix(stream.try_clone()?),
            Wire::Tls(stream) => Wire::Tls(Box::new(stream.clone_handle())),
        })
    }

    pub(super) fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        match self {
            Wire::Unix(stream) => stream.set_read_timeout(time),
            Wire::Tls(stream) => stream.tcp().set_read_timeout(time),
        }
    }

    pub(super) fn set_write_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        match self {
            Wire::Unix(stream) => stream.set_write_timeout(time),
            Wire::Tls(stream) => stream.tcp().set_write_timeout(time),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Wire::Unix(stream) => stream.shutdown(how),
            Wire::Tls(stream) => stream.shutdown(how),
        }
    }

    /// Returns true if the other end has proved that it carries a name. A socket of this machine takes the word of its user.
    pub(super) fn carries(&self, name: &str) -> Result<(), String> {
        match self {
            Wire::Unix(_) => Ok(()),
            Wire::Tls(stream) => stream.carries(name),
        }
    }

    /// The same connection, on which every read and write ends by a deadline.
    pub(super) fn until(&mut self, deadline: Deadline) -> Timed<'_> {
        Timed { wire: self, deadline }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Unix(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Unix(stream) => stream.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Unix(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// See [`Wire::until`].
pub(super) struct Timed<'w> {
    wire: &'w mut Wire,
    deadline: Deadline,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.deadline.give_to(|time| self.wire.set_read_timeout(time))?;
        self.wire.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.deadline.give_to(|time| self.wire.set_write_timeout(time))?;
        self.wire.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }
}
