//! Programs that are linked with LibTorch carry the places where it lies, and start with no LD_LIBRARY_PATH. The places are derived from the
//! program itself: a program that is installed or moved with its libraries finds them, whichever process starts it. A path of this kind holds for
//! the package whose build script asks for it: every package of the house that has a program or a test names this script.

use std::path::{Component, Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let (Some(libtorch), Some(out)) = (std::env::var_os("LIBTORCH"), std::env::var_os("OUT_DIR")) else {
        return;
    };
    // Installed (scripts/install): PREFIX/bin beside PREFIX/lib/headwater. It stands first, and alone once it is installed.
    run_path("../lib/headwater");
    // As cargo leaves them: programs in TARGET/PROFILE, tests in a folder below. OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let Some(programs) = Path::new(&out).ancestors().nth(3).and_then(|folder| folder.canonicalize().ok())
    else {
        return;
    };
    let Some(libraries) = settled(&PathBuf::from(libtorch)).map(|libtorch| libtorch.join("lib")) else {
        return;
    };
    let from_programs = between(&programs, &libraries);
    run_path(&from_programs);
    run_path(&format!("../{from_programs}"));
}

fn run_path(from_program: &str) {
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/{from_program}");
}

/// A path without links on the way; the last part may be one, and stays, since it may come to lead elsewhere.
fn settled(path: &Path) -> Option<PathBuf> {
    Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
}

/// The way from one folder to another.
fn between(from: &Path, to: &Path) -> String {
    let mut parts = (from.components().peekable(), to.components().peekable());
    while parts.0.peek().is_some() && parts.0.peek() == parts.1.peek() {
        parts.0.next();
        parts.1.next();
    }
    let up = parts.0.map(|_| "..".to_owned());
    let down = parts.1.map(|part: Component<'_>| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}
