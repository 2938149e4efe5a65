//! The house as the rules see it. In: `git ls-files` and `cargo metadata`. Out: files with their texts, packages with
//! their dependencies. It knows no rule.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// One dependency of a package.
#[derive(Clone, Debug)]
pub struct Dependency {
    pub name: String,
    /// Only for tests, benches and examples.
    pub dev: bool,
}

/// One package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    /// Its folder from the top; empty for the root package.
    pub folder: String,
    pub dependencies: Vec<Dependency>,
}

/// Everything that rules look at.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// Tracked files by path from the top; text is empty where the file is none.
    pub files: BTreeMap<String, String>,
    pub packages: Vec<Package>,
}

impl House {
    /// Reads the checkout that this test was built from.
    pub fn read() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed =
            output(Command::new("git").args(["-c", "safe.directory=*", "ls-files", "-z"]).current_dir(top));
        let files = listed
            .split('\0')
            .filter(|path| top.join(path).is_file())
            .map(|path| {
                (
                    path.to_owned(),
                    String::from_utf8(std::fs::read(top.join(path)).unwrap()).unwrap_or_default(),
                )
            })
            .collect();
        House { files, packages: packages(top) }
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Rust sources: path and text.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(|(path, _)| path.ends_with(".rs"))
    }
}

fn packages(top: &Path) -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let printed =
        output(Command::new(cargo).args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(top));
    let metadata: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let folder = |manifest: String| {
        let folder = Path::new(&manifest)
            .parent()
            .and_then(|folder| folder.strip_prefix(top).ok().map(Path::to_owned));
        folder.unwrap_or_default().display().to_string()
    };
    list(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            folder: folder(text(&package["manifest_path"])),
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|d| Dependency { name: text(&d["name"]), dev: d["kind"] == "dev" })
                .collect(),
        })
        .collect()
}

fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
