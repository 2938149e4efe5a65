//! The list of text files: a file, a folder or a pattern in; a list in a fixed order out.
//!
//! Opens no file. What has another suffix than its format, and what is compressed as rotated logs are, is passed over; the number of such
//! files is listed. It must not know what was read before.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use headwater_contract::{Result, StageError};
use regex::Regex;

use super::super::{Format, recordings};

/// A text file.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the folder that is read, as rows name it.
    pub file: Arc<str>,
    /// Properties that change with a write to it.
    pub stat: Stat,
}

/// Properties that change with a write to a file, and some that a rename keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written to.
    pub modified: Option<SystemTime>,
    /// Its device and inode.
    pub inode: (u64, u64),
}

impl Stat {
    /// That of a file.
    pub fn of(meta: &fs::Metadata) -> Self {
        Self { len: meta.len(), modified: meta.modified().ok(), inode: (meta.dev(), meta.ino()) }
    }
}

/// A list of files.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, sorted by their paths.
    pub files: Vec<TextFile>,
    /// Files that were passed over.
    pub passed_over: usize,
}

/// Suffixes of compressed files: rotated logs get them once they are old.
const COMPRESSED: [&str; 5] = ["gz", "bz2", "xz", "zst", "zip"];

/// The folder that files are named below.
pub fn root(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    if path.exists() {
        return path.parent().unwrap_or(Path::new("")).to_owned();
    }
    pattern(path).map_or_else(|| path.parent().unwrap_or(Path::new("")).to_owned(), |(base, _)| base)
}

/// Returns true if a path names one file.
pub fn is_single(path: &Path) -> bool {
    !path.is_dir() && (path.exists() || pattern(path).is_none())
}

/// The text files at a path.
///
/// # Errors
/// There is nothing at the path, or its folder cannot be read.
pub fn list(path: &Path, format: Format) -> Result<Listing> {
    let root = root(path);
    let mut listing = Listing::default();
    if path.is_dir() {
        let fits = |file: &Path| has_suffix(file, suffixes(format));
        listing.folder(path, &root, &fits)?;
    } else if let Some((base, pattern)) = pattern(path).filter(|_| !path.exists()) {
        let fits = |file: &Path| {
            let below = file.strip_prefix(&base).unwrap_or(file).to_string_lossy().into_owned();
            pattern.is_match(&below) && !is_compressed(file)
        };
        listing.folder(&base, &root, &fits)?;
        // What a pattern does not name was not meant.
        listing.passed_over = 0;
    } else {
        let meta = fs::metadata(path).map_err(|_| recordings::absent(path))?;
        listing.add(path.to_owned(), &root, &meta);
    }
    Ok(listing)
}

/// Files beside a single one that may be what it was before it was rotated: `app.log.1`, `app.log-20260302`.
pub fn rotated(path: &Path) -> Vec<TextFile> {
    let (root, name) = (root(path), path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let mut listing = Listing::default();
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let fits = |file: &Path| {
        let beside = file.file_name().unwrap_or_default().to_string_lossy();
        file.parent() == Some(&root) && *beside != name && beside.starts_with(stem) && !is_compressed(file)
    };
    // A folder that cannot be read now is read again.
    listing.folder(&root, &root, &fits).unwrap_or_default();
    listing.files
}

fn suffixes(format: Format) -> &'static [&'static str] {
    match format {
        Format::Jsonl => &["jsonl", "ndjson"],
        Format::Csv => &["csv", "tsv"],
        Format::Parquet => &["parquet"],
        Format::Audio => &[],
    }
}

/// Returns true if one of the suffixes of a name is wanted: `talk.jsonl`, and `talk.jsonl.1` once it is rotated.
fn has_suffix(file: &Path, wanted: &[&str]) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut suffixes = name.split('.').skip(1).flat_map(|part| part.split('-'));
    suffixes.any(|part| wanted.contains(&part)) && !is_compressed(file)
}

fn is_compressed(file: &Path) -> bool {
    file.extension().and_then(|suffix| suffix.to_str()).is_some_and(|suffix| COMPRESSED.contains(&suffix))
}

/// The folder before the first `*`, `?` or `[` of a path, and the rest as a pattern.
fn pattern(path: &Path) -> Option<(PathBuf, Regex)> {
    let is_pattern = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let parts: Vec<Component<'_>> = path.components().collect();
    let first = parts.iter().position(is_pattern)?;
    let (base, rest) = parts.split_at(first);
    let mut regex = String::from("^");
    for (at, part) in rest.iter().enumerate() {
        let part = part.as_os_str().to_string_lossy();
        if part == "**" {
            regex.push_str("(?:.*/)?");
            continue;
        }
        let mut letters = part.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                '[' if letters.as_str().contains(']') => {
                    let class: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                    let (not, class) =
                        class.strip_prefix('!').map_or(("", class.as_str()), |class| ("^", class));
                    regex.push_str(&format!("[{not}{}]", class.replace('\\', "\\\\").replace('[', "\\[")));
                }
                letter => regex.push_str(&regex::escape(&letter.to_string())),
            }
        }
        if at + 1 < rest.len() {
            regex.push('/');
        }
    }
    Some((base.iter().collect(), Regex::new(&(regex + "$")).ok()?))
}

impl Listing {
    fn folder(&mut self, folder: &Path, root: &Path, fits: &dyn Fn(&Path) -> bool) -> Result {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = fs::read_dir(here).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| {
            StageError::new(format!("the folder `{}` cannot be read: {error}", here.display()))
        })?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            match entry.file_type() {
                // A linked folder could contain itself.
                Ok(kind) if kind.is_dir() => self.folder(&path, root, fits)?,
                Ok(kind) if kind.is_symlink() && path.is_dir() => {}
                _ => match fs::metadata(&path) {
                    Ok(meta) if meta.is_file() && fits(&path) => self.add(path, root, &meta),
                    // A file that is gone by now, too.
                    _ => self.passed_over += 1,
                },
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, root: &Path, meta: &fs::Metadata) {
        self.files.push(TextFile { file: recordings::below(root, &path), stat: Stat::of(meta), path });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_and_patterns() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.jsonl",
            "a.jsonl",
            "a.jsonl.1",
            "a.jsonl.2.gz",
            "a.jsonl-20260302",
            "notes.txt",
            ".hidden.jsonl",
            "deep/er/c.jsonl",
            "deep/d.ndjson",
            "deep/x.csv",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let check = |path: &str, format: Format, expected: &[&str], passed_over: usize| {
            let listing = list(&folder.path().join(path), format).unwrap();
            let files: Vec<_> = listing.files.iter().map(|file| file.file.to_string()).collect();
            assert_eq!(
                (files, listing.passed_over),
                (expected.iter().map(ToString::to_string).collect(), passed_over),
                "{path}"
            );
        };
        check(
            "",
            Format::Jsonl,
            &["a.jsonl", "a.jsonl-20260302", "a.jsonl.1", "b.jsonl", "deep/d.ndjson", "deep/er/c.jsonl"],
            3,
        );
        check("", Format::Csv, &["deep/x.csv"], 8);
        check("deep", Format::Jsonl, &["d.ndjson", "er/c.jsonl"], 1);
        check("b.jsonl", Format::Jsonl, &["b.jsonl"], 0);
        check("*.jsonl", Format::Jsonl, &["a.jsonl", "b.jsonl"], 0);
        check("[ac].jsonl*", Format::Jsonl, &["a.jsonl", "a.jsonl-20260302", "a.jsonl.1"], 0);
        check("[!a].jsonl", Format::Jsonl, &["b.jsonl"], 0);
        check("?.jsonl", Format::Jsonl, &["a.jsonl", "b.jsonl"], 0);
        check("**/*.jsonl", Format::Jsonl, &["a.jsonl", "b.jsonl", "deep/er/c.jsonl"], 0);
        check("deep/*/c.*", Format::Jsonl, &["er/c.jsonl"], 0);
        check("*.none", Format::Jsonl, &[], 0);
        assert!(list(&folder.path().join("absent"), Format::Jsonl).is_err());
        assert!(list(&folder.path().join("absent/*.jsonl"), Format::Jsonl).is_err());
        let beside: Vec<_> =
            rotated(&folder.path().join("a.jsonl")).iter().map(|f| f.file.to_string()).collect();
        assert_eq!(beside, ["a.jsonl-20260302", "a.jsonl.1"]);
    }
}
