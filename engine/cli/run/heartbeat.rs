//! The heartbeat by which a supervisor knows that an attempt is alive: the attempt sends it twice a second, from a thread of its own.
//!
//! In: at the supervisor a socket in a folder of its own; in an attempt that socket's path. Out: whether the attempt is silent. An attempt
//! that is stopped by a signal, or whose machine gives it no time, is silent; one that works is not, however long a stage takes.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::processes::private_folder;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(500);
/// An attempt that was silent for so long hangs.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// The supervisor's end of the heartbeat.
pub(super) struct HeartbeatListener {
    socket: UnixDatagram,
    folder: PathBuf,
    /// The time of the present attempt's last heartbeat; nothing before its first.
    heard: Option<Instant>,
}

impl HeartbeatListener {
    pub(super) fn begin() -> std::io::Result<Self> {
        let folder = private_folder()?;
        let socket = UnixDatagram::bind(folder.join("beat"))?;
        socket.set_nonblocking(true)?;
        Ok(HeartbeatListener { socket, folder, heard: None })
    }

    /// The flag that names the socket to an attempt.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("beat")
    }

    /// Forgets the last attempt.
    pub(super) fn next_life(&mut self) {
        self.heard = None;
    }

    /// Returns true if the present attempt is silent.
    pub(super) fn is_silent(&mut self) -> bool {
        while self.socket.recv(&mut [0]).is_ok() {
            self.heard = Some(Instant::now());
        }
        self.heard.is_some_and(|heard| heard.elapsed() > SILENCE)
    }
}

impl Drop for HeartbeatListener {
    fn drop(&mut self) {
        // It holds the socket alone.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Says that this attempt goes on, until the process ends or the supervisor is gone.
pub(super) fn beat(to: &Path) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(to)?;
    // A supervisor that is late has beats enough to read.
    socket.set_nonblocking(true)?;
    // The first heartbeat precedes all work: an attempt that hangs later is heard of for certain.
    socket.send(&[1])?;
    let beating = move || {
        let late = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        loop {
            std::thread::sleep(BEAT);
            if !socket.send(&[1]).err().is_none_or(late) {
                break;
            }
        }
    };
    std::thread::Builder::new().name("hw-heartbeat".into()).spawn(beating).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_spoke_is_not_silent_yet_and_who_beats_is_heard() {
        let mut hearing = HeartbeatListener::begin().unwrap();
        assert!(!hearing.is_silent() && hearing.heard.is_none());
        beat(&hearing.path()).unwrap();
        while hearing.heard.is_none() {
            assert!(!hearing.is_silent());
        }
        hearing.next_life();
        assert!(hearing.heard.is_none());
    }
}
