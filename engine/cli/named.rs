//! Which pipeline a word of the command line means: the one place where names and folders become files, and files names.
//!
//! In: a word, the settings. Out: the path of a pipeline file, or the name of a pipeline that something is kept of; else what names there
//! are. It must not know what is asked of the pipeline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_contract::{Result, StageError, quoted};
use headwater_runtime::check::ids::is_pipeline_name;
use headwater_runtime::check::similar::{all_of, nearest};
use headwater_runtime::params::{ParamSources, substitute};
use headwater_runtime::pipeline;

use crate::site::Settings;

/// The folders where pipeline files are looked for by name, beside [`IN_A_FOLDER`] in each folder.
const FOLDERS: [&str; 2] = [".", "pipelines"];
/// The name of a pipeline's file in a folder of its own, which `new` makes.
const IN_A_FOLDER: &str = "pipeline.toml";

/// The file that a word means: its path, or the name of a pipeline whose file lies here.
///
/// # Errors
/// It is no file, and no file here, or more than one, is of a pipeline of that name.
pub(crate) fn file_of(word: &Path) -> Result<PathBuf> {
    file_among(word, Path::new("."))
}

fn file_among(word: &Path, here: &Path) -> Result<PathBuf> {
    let within = word.join(IN_A_FOLDER);
    if word.is_dir() && within.is_file() {
        return Ok(within);
    }
    let name = word.to_str().filter(|name| is_pipeline_name(name) && !name.ends_with(".toml"));
    let Some(name) = name.filter(|_| !word.is_file()) else { return Ok(word.to_owned()) };
    let mut known = files(here);
    let found = known.remove(name).unwrap_or_default();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let what = format!("there is no file `{name}`, and no pipeline of that name in a file here");
            Err(unknown(what, name, known.keys().map(String::as_str), "the path of its file"))
        }
        several => {
            let several: Vec<String> = several.iter().map(|file| file.display().to_string()).collect();
            let what =
                format!("{} are all of a pipeline `{name}`", all_of(several.iter().map(String::as_str)));
            Err(StageError::new(what).expected("the path of one of them"))
        }
    }
}

/// The files of pipelines below a folder, by the pipeline's name.
fn files(here: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let plain = |path: PathBuf| path.strip_prefix(".").map_or(path.clone(), Path::to_owned);
    let mut all: Vec<PathBuf> = FOLDERS.iter().flat_map(|folder| below(&here.join(folder))).collect();
    all.extend(below(here).into_iter().filter(|path| path.is_dir()).map(|folder| folder.join(IN_A_FOLDER)));
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in all.into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(name) = name_in(&text) {
            files.entry(name).or_default().push(plain(path));
        }
    }
    for paths in files.values_mut() {
        paths.sort();
        paths.dedup();
    }
    files
}

/// The name of the pipeline that a word means, of which something is kept: the word itself, or the name in that file.
///
/// # Errors
/// The file names none, or nothing is kept of a pipeline of that name.
pub(crate) fn name_of(word: &str, settings: &Settings) -> Result<String> {
    let path = Path::new(word);
    let name = if path.is_file() {
        let text = std::fs::read_to_string(path)
            .map_err(|e| StageError::new(format!("{word} cannot be read: {e}")))?;
        name_in(&text).ok_or_else(|| {
            StageError::new(format!("{word} names no pipeline"))
                .help(format!("`headwater check {}`", quoted(word)))
        })?
    } else {
        word.to_owned()
    };
    if settings.state_of(&name).is_dir() {
        return Ok(name);
    }
    let entries = std::fs::read_dir(&settings.state).into_iter().flatten().flatten();
    let kept = entries.filter(|entry| entry.path().is_dir());
    let mut kept: Vec<String> = kept.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    kept.sort();
    let what = format!("nothing is kept of a pipeline `{name}` in {}", settings.state.display());
    let run = "a pipeline that was run with this --state";
    Err(unknown(what, &name, kept.iter().map(String::as_str), run))
}

/// The name in a pipeline file, with params put in as a run does.
fn name_in(text: &str) -> Option<String> {
    let mut pipeline = pipeline::parse(text).pipeline;
    let read = |name: &str| std::env::var(name).ok();
    substitute(&mut pipeline, text, &ParamSources { arguments: &[], environment: Some(&read) });
    let name = pipeline.head.iter().find(|entry| entry.key == "name")?;
    name.node.as_str().filter(|_| !name.node.is_unknown()).map(str::to_owned)
}

fn unknown<'n>(
    what: String,
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    expected: &'static str,
) -> StageError {
    let error = StageError::new(what);
    match nearest(name, known.clone()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if known.clone().next().is_none() => error.expected(expected),
        None => error.help(format!("there is {}", all_of(known))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn here() -> tempfile::TempDir {
        let here = tempfile::tempdir().unwrap();
        file(here.path(), "a.toml", "[pipeline]\nname = 'talk'\n");
        file(
            here.path(),
            "pipelines/b.toml",
            "[pipeline]\nname = \"${who}\"\n[params]\nwho = { default = 'kitchen' }\n",
        );
        file(here.path(), "garage/pipeline.toml", "[pipeline]\nname = 'garage'\n");
        file(here.path(), "twice.toml", "[pipeline]\nname = 'two'\n");
        file(here.path(), "pipelines/twice.toml", "[pipeline]\nname = 'two'\n");
        file(here.path(), "Cargo.toml", "[package]\nname = 'none'\n");
        here
    }

    #[test]
    fn names_become_files() {
        let here = here();
        let check = |word: &str, expected: std::result::Result<&str, &str>| {
            let found = file_among(Path::new(word), here.path()).map_err(|error| error.to_string());
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(
                        found.strip_prefix(here.path()).unwrap_or(&found),
                        Path::new(expected),
                        "{word}"
                    );
                }
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{word}: {found:?}, expected {expected:?}"),
            }
        };
        check("talk", Ok("a.toml"));
        check("kitchen", Ok("pipelines/b.toml"));
        check("garage", Ok("garage/pipeline.toml"));
        let folder = here.path().join("garage").display().to_string();
        check(&folder, Ok("garage/pipeline.toml"));
        // What is no name is a path, whether it is there or not.
        check("missing.toml", Ok("missing.toml"));
        check("some/missing", Ok("some/missing"));
        check("-", Ok("-"));
        check("two", Err("are all of a pipeline `two`; expected the path of one of them"));
        check("tolk", Err("no pipeline of that name in a file here (help: did you mean `talk`?)"));
        check("nothing-like-it", Err("(help: there is `garage`, `kitchen`, `talk` and `two`)"));
        check("none", Err("there is no file `none`"));
    }

    #[test]
    fn files_become_names_of_what_is_kept() {
        let (here, state) = (here(), tempfile::tempdir().unwrap());
        let flags = crate::site::Flags {
            state: Some(state.path().to_owned()),
            key_file: Some(state.path().join("root.key")),
            ..crate::site::Flags::default()
        };
        let settings = crate::site::read(&flags).unwrap();
        let at = |name: &str| here.path().join(name).display().to_string();
        let actual = |word: &str| name_of(word, &settings).unwrap_err().to_string();
        assert!(actual("talk").contains("nothing is kept of a pipeline `talk`"), "{}", actual("talk"));
        std::fs::create_dir(state.path().join("talk")).unwrap();
        std::fs::create_dir(state.path().join("kitchen")).unwrap();
        assert_eq!(name_of("talk", &settings).unwrap(), "talk");
        assert_eq!(name_of(&at("a.toml"), &settings).unwrap(), "talk");
        assert_eq!(name_of(&at("pipelines/b.toml"), &settings).unwrap(), "kitchen");
        assert!(actual("kitchn").ends_with("(help: did you mean `kitchen`?)"));
        assert!(actual("elsewhere").ends_with("(help: there is `kitchen` and `talk`)"));
        assert!(actual(&at("garage/pipeline.toml")).contains("nothing is kept of a pipeline `garage`"));
        assert!(actual(&at("Cargo.toml")).contains("names no pipeline"));
    }
}
