//! The standard output and the standard error of the program: neither takes it down when it fails.
//!
//! In: what verbs print. Out: the same on the standard output, and whether it failed. A reader that has closed its end (`| head`) ends a verb quietly; a
//! full disk behind `>` is said once, at the end. It must not know what is printed.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use headwater_contract::Escaped;

use crate::exit::Exit;

/// Prints a message on the standard error, as the macro of the same name does, but for two things: where it cannot be printed it is lost,
/// and the program goes on, since a log on a full disk must not end a run; and no name in it moves the cursor.
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::output::message(&format!($($text)*))
    };
}

/// The same without the end of the line, and with the colours that are in it.
macro_rules! eprint {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stderr(), $($text)*);
    }};
}

/// Prints a message, which may have several lines.
pub(crate) fn message(text: &str) {
    let mut shown = String::with_capacity(text.len() + 1);
    for line in text.split('\n') {
        shown += &format!("{}\n", Escaped(line));
    }
    let _ = io::stderr().write_all(shown.as_bytes());
}

/// Writes a file that is not there yet, durably. One that cannot be written to its end is removed: an empty file would be taken for what it should have been.
///
/// # Errors
/// The file exists, or cannot be written.
pub(crate) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        // The error of the write is the one to report.
        let _ = std::fs::remove_file(path);
    })
}

/// Why the standard output failed first, of this process.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// The standard output. It remembers that it failed.
pub(crate) struct StandardOutput;

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).map_err(remembered)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(remembered)
    }
}

fn remembered(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::Interrupted {
        return error;
    }
    let again = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
    let _ = FAILED.set(error);
    again
}

/// Returns true if the standard output has failed.
pub(crate) fn has_failed() -> bool {
    FAILED.get().is_some()
}

/// Prints what is still held back, and says so if the output has failed; gives the exit code of a verb that would end with this one.
pub(crate) fn finish(exit: Exit) -> Exit {
    // Its failure is remembered.
    let _ = StandardOutput.flush();
    match FAILED.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: the standard output cannot be written: {error}");
            exit.max(Exit::Failed)
        }
        _ => exit,
    }
}
