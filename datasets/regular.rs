//! Files that a user names, opened only if they are files.
//!
//! Opening a named pipe waits for a writer, and a device has no end: either would stop a run for ever.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// The system's own, and [`io::ErrorKind::InvalidInput`] for what is no regular file, with words that say what it is.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    let found = if kind.is_file() {
        return File::open(path);
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("this is {found}, but a regular file is needed")))
}

/// All bytes of a regular file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a regular file.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::InvalidData`] for what is no UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_named_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        symlink("pipe", at("linked-pipe")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let check = |name: &str, expected: &str| {
            let message = open(&at(name)).map_or_else(|error| error.to_string(), |_| "opened".to_owned());
            assert!(message.contains(expected), "{name}: {message}");
        };
        check("file", "opened");
        check("link", "opened");
        check("", "this is a folder");
        check("pipe", "this is a named pipe");
        check("linked-pipe", "this is a named pipe");
        check("socket", "this is a socket");
        check("device", "this is a device");
        check("absent", "No such file");
    }
}
