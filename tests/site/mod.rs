//! A folder of its own for a test that runs the program: its files, the program's state and its key.

use std::path::PathBuf;
use std::process::{Command, Stdio};

pub struct Site(tempfile::TempDir);

impl Site {
    pub fn new() -> Self {
        Site(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program in the house, with a state and a key of its own; its standard input is empty.
    #[allow(dead_code, reason = "not every test runs it in this way")]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("HEADWATER_KEY_FILE", self.path("root.key"))
            .env("HEADWATER_STATE", self.path("state"))
            .env_remove("HEADWATER_RECORDINGS")
            .args(args)
            .stdin(Stdio::null());
        command
    }
}
