//! The socket of a run: in a folder of the state folder that is the owner's alone.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The folder of the socket: no other user can pass it, whatever the mode of the socket is for a moment.
const FOLDER: &str = "tap";
const NAME: &str = "socket";

/// The place of the socket of a run whose state folder this is.
pub(super) fn path(state: &Path) -> PathBuf {
    state.join(FOLDER).join(NAME)
}

/// The path of a socket must be short: it is named below its open folder.
fn short(state: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(state.join(FOLDER))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(NAME);
    Ok((folder, path))
}

/// Reaches the run that listens there.
pub(super) fn connect(state: &Path) -> io::Result<UnixStream> {
    let (_folder, path) = short(state)?;
    UnixStream::connect(path)
}

/// Listens there, for the owner alone. The socket of an ended run is removed; one of a running run is not disturbed.
pub(super) fn listen(state: &Path) -> io::Result<UnixListener> {
    let private = DirBuilder::new().recursive(true).mode(0o700).create(state.join(FOLDER));
    private?;
    std::fs::set_permissions(state.join(FOLDER), Permissions::from_mode(0o700))?;
    let (_folder, path) = short(state)?;
    let listener = match UnixListener::bind(&path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if connect(state).is_ok() {
                return Err(io::Error::new(
                    ErrorKind::AddrInUse,
                    "another run of this pipeline goes on there",
                ));
            }
            std::fs::remove_file(&path)?;
            UnixListener::bind(&path)?
        }
        bound => bound?,
    };
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_owners_alone_however_deep_it_lies() {
        let own = tempfile::tempdir().unwrap();
        let state = own.path().join("x".repeat(120));
        assert!(connect(&state).is_err(), "no process listens");
        let listener = listen(&state).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path(&state)), mode(&state.join(FOLDER))), (0o600, 0o700));
        assert!(connect(&state).is_ok());
        assert!(listen(&state).is_err(), "two runs cannot both be reached");
        drop(listener);
        assert!(connect(&state).is_err());
        assert!(listen(&state).is_ok(), "the socket of an ended run disturbs no other");
    }
}
