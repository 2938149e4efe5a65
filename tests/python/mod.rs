//! Python with what others read a store with: pinned packages from the package index, in a virtual environment below the target
//! folder.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What is installed: the versions that the formats page names, by hash.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Python with the packages; nothing where they cannot be had and need not be.
pub fn with_readers() -> Option<PathBuf> {
    // One at a time: both tests may want to make it.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-venv");
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Some(python);
    }
    let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/requirements.txt");
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
        output
            .status
            .success()
            .then_some(())
            .ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let made = run(Path::new("python3"), &["-m", "venv", folder.to_str().unwrap()]).and_then(|()| {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"];
        run(&python, &[&install[..], &["-r", requirements]].concat())
    });
    match made {
        Ok(()) => {
            std::fs::write(&complete, REQUIREMENTS).unwrap();
            Some(python)
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("in CI this test must run: {error}"),
        Err(error) => {
            eprintln!("skipped: {requirements} could not be installed: {error}");
            None
        }
    }
}
