//! The verb `key rotate`: all that a root key protects is brought under another one.
//!
//! In: pipelines and folders. Out: their keystores wrapped under a new root key, which is the current one then, and what was done.
//! Cut off at any moment, everything opens as before, and the same command finishes it. It must not know what lies in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use headwater_contract::{Result, StageError, StageFactory, quoted};
use headwater_runtime::check::similar::{all_of, nearest};
use headwater_vault::{
    AuditAction, AuditLog, Error, KEYSTORE_FILE, KeyFile, Rotation, RotationCounts, Target, real_disk,
};
use serde_json::json;

use crate::exit::Exit;
use crate::forget::kept::stores_of;
use crate::pipeline::{answer, pair};
use crate::run::{RunArgs, plan_of};
use crate::site::Settings;
use crate::state::Folder;
use headwater_stages::vault_error::of_vault;

/// The arguments of `key rotate`.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// Pipelines, each by its file or its name, and folders of stores and recordings elsewhere; by default every pipeline of the state
    /// folder
    #[arg(value_name = "FILE|NAME|FOLDER", value_hint = ValueHint::AnyPath)]
    what: Vec<PathBuf>,
    /// Set an option of the pipeline files: stage.ID.OPTION=VALUE
    #[arg(long, value_name = "PATH=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Set a param of the pipeline files: NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
}

/// Folders with a keystore, by the file of their root key.
#[derive(Default)]
struct Protected {
    folders: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// Stores that a pipeline names and that are not there.
    absent: BTreeSet<PathBuf>,
}

/// Rotates; gives the exit code.
pub(super) fn run(
    args: &RotateArgs,
    settings: &Settings,
    kinds: &[StageFactory],
    out: &mut dyn Write,
) -> Exit {
    let protected = match found(args, settings, kinds) {
        Ok(protected) => protected,
        Err(Stopped::Reported(code)) => return code,
        Err(Stopped::For(error)) => {
            eprintln!("error: {error}");
            return Exit::CouldNotLook;
        }
    };
    let (text, done) = rotated(&protected, settings);
    let code = answer(out, &text, Exit::Fine);
    match done {
        Ok(()) => code,
        Err(error) => {
            eprintln!("error: {error}");
            Exit::CouldNotLook
        }
    }
}

/// Rotates every key of what was found. All folders are locked before anything changes. Says what was done, also before a mistake.
fn rotated(protected: &Protected, settings: &Settings) -> (String, Result) {
    let mut text = String::new();
    let by_key: Vec<(KeyFile, Vec<PathBuf>)> = protected
        .folders
        .iter()
        .map(|(key, folders)| (KeyFile::at(key), folders.iter().cloned().collect()))
        .collect();
    let begun =
        by_key.iter().map(|(key, folders)| Rotation::begin(key, folders, &real_disk()).map_err(refused));
    let done = begun.collect::<Result<Vec<_>>>().and_then(|begun| {
        by_key.iter().zip(begun).try_for_each(|((key, folders), rotation)| {
            carry_out(rotation, key, folders, settings).map(|done| text += &done)
        })
    });
    for store in &protected.absent {
        text += &format!("not there  {}: named by its pipeline, and never made\n", store.display());
    }
    (text, done)
}

/// Why nothing is rotated.
enum Stopped {
    /// It was said already; the exit code.
    Reported(Exit),
    For(StageError),
}

impl From<StageError> for Stopped {
    fn from(error: StageError) -> Self {
        Stopped::For(error)
    }
}

fn found(
    args: &RotateArgs,
    settings: &Settings,
    kinds: &[StageFactory],
) -> std::result::Result<Protected, Stopped> {
    let mut all = Protected::default();
    // The site's key is rotated also where nothing lies under it yet.
    all.folders.entry(settings.key_file.clone()).or_default();
    let names = names(settings)?;
    if args.what.is_empty() {
        for name in &names {
            all.pipeline(name, settings)?;
        }
    }
    for what in &args.what {
        let named = what.to_str().filter(|name| names.contains(*name));
        if let Some(name) = named {
            all.pipeline(name, settings)?;
        } else if what.is_dir() {
            let before = all.count();
            all.below(&settings.key_file, what)?;
            if all.count() == before {
                let wrong = StageError::new(format!("nothing below {} has a keystore", what.display()));
                return Err(wrong.expected("the folder of a store or of a recording").into());
            }
        } else if what.exists() {
            all.file(what, args, settings, kinds)?;
        } else {
            return Err(unknown(what, &names).into());
        }
    }
    Ok(all)
}

/// The pipelines of the state folder.
fn names(settings: &Settings) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for path in entries(&settings.state)? {
        if !keystores(&path)?.is_empty() {
            names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    Ok(names)
}

fn unknown(what: &Path, names: &BTreeSet<String>) -> StageError {
    let what = what.display().to_string();
    let known = || names.iter().map(String::as_str);
    let help = match nearest(&what, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the state folder has {}", all_of(known())),
    };
    StageError::new(format!("there is no pipeline `{what}`, and no such file or folder"))
        .expected("a pipeline file, the name of a pipeline that was run with this --state, or a folder")
        .help(help)
}

impl Protected {
    fn count(&self) -> usize {
        self.folders.values().map(BTreeSet::len).sum()
    }

    /// All that is kept below a folder.
    fn below(&mut self, key: &Path, folder: &Path) -> Result {
        let found = keystores(folder)?;
        self.folders.entry(key.to_owned()).or_default().extend(found);
        Ok(())
    }

    /// The state folder of a pipeline, and the stores that its last commit knows.
    fn pipeline(&mut self, name: &str, settings: &Settings) -> Result {
        let site = settings.site(name);
        self.below(&site.key_file, &site.state)?;
        for store in Folder::stores(&site)? {
            self.store(&site.key_file, store)?;
        }
        Ok(())
    }

    /// The state folder of a pipeline, and the stores that its file names, each with its own key file.
    fn file(
        &mut self,
        file: &Path,
        args: &RotateArgs,
        settings: &Settings,
        kinds: &[StageFactory],
    ) -> std::result::Result<(), Stopped> {
        let (set, params) = (args.set.clone(), args.params.clone());
        let asked = RunArgs { file: file.to_owned(), set, params, ..RunArgs::default() };
        let plan = plan_of(&asked, kinds).map_err(Stopped::Reported)?;
        let site = settings.site(&plan.name);
        self.below(&site.key_file, &site.state)?;
        for (store, key) in stores_of(&plan, &site) {
            self.store(key.path(), store)?;
        }
        Ok(())
    }

    fn store(&mut self, key: &Path, store: PathBuf) -> Result {
        if store.exists() {
            return self.below(key, &store);
        }
        self.absent.insert(store);
        Ok(())
    }
}

/// The folders below one, itself included, that have a keystore. What was moved aside as damaged may not open: it stays as it is.
fn keystores(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if folder.join(KEYSTORE_FILE).is_file() {
        found.push(folder.to_owned());
    }
    for path in entries(folder)? {
        let aside = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".damaged-"));
        if path.is_dir() && !path.is_symlink() && !aside {
            found.extend(keystores(&path)?);
        }
    }
    Ok(found)
}

/// Returns the entries of a folder; none where there is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed =
        |error: std::io::Error| StageError::new(format!("{} cannot be listed: {error}", folder.display()));
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// Brings folders under another root key; says what was done.
fn carry_out(
    rotation: Rotation<'_>,
    key: &KeyFile,
    folders: &[PathBuf],
    settings: &Settings,
) -> Result<String> {
    let (from, to, target) = (rotation.from(), rotation.to(), rotation.target());
    let facts = [
        ("from", json!(from.to_string())),
        ("to", json!(to.to_string())),
        ("key_file", json!(key.path())),
        ("folders", json!(folders)),
    ];
    AuditLog::at(&settings.state, key, real_disk())
        .record(AuditAction::KeyRotation, &facts)
        .map_err(of_vault)?;
    let RotationCounts { wrapped, already } = rotation.run().map_err(|error| {
        of_vault(error)
            .help("everything opens as before; `headwater key rotate` with the same arguments goes on")
    })?;
    let path = key.path().display();
    let mut text = match target {
        Target::Fresh => format!("root key   {to} is the current one, in {path}; it was {from}\n"),
        Target::Resumed => {
            format!(
                "root key   {to} is the current one, in {path}: a rotation that was cut off is finished; it was {from}\n"
            )
        }
        Target::Current => format!(
            "root key   {to} stays the current one, in {path}: all that was named was under older ones; once more makes a new key\n"
        ),
    };
    text += &format!("wrapped    {wrapped} folders are under it now");
    text += &if already > 0 { format!(", {already} were already\n") } else { "\n".to_owned() };
    for folder in folders {
        text += &format!("           {}\n", folder.display());
    }
    let older: Vec<String> =
        key.others().map_err(of_vault)?.iter().map(|(path, _)| path.display().to_string()).collect();
    if !older.is_empty() {
        text += &format!(
            "older      {}: for copies that were made before, and folders that are not named here; remove it when there are none\n",
            older.join(", ")
        );
    }
    if target != Target::Current {
        text += &format!(
            "back up    `headwater key backup FILE --key-file {}`: an earlier backup does not open what is wrapped now\n",
            quoted(&path.to_string())
        );
    }
    Ok(text)
}

/// Why nothing was begun.
fn refused(error: Error) -> StageError {
    match error {
        Error::Busy { path, pid } => {
            let by = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            StageError::new(format!("{} is in use by {by}: nothing was changed", path.display()))
                .expected("pipelines that are stopped")
                .help("stop the pipeline, run `headwater key rotate` again, and start the pipeline")
        }
        other => of_vault(other),
    }
}
