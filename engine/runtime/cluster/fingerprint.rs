//! The fingerprint: values by name that must be equal in all processes of a cluster, compared before anything flows.
//!
//! In: a plan, the text it came from, this machine. Out: names and values, and every difference between two processes with both
//! sides. Large things stand as hashes. It must not know what a stage does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use headwater_contract::digest::hex;
use sha2::{Digest, Sha256};

use super::wire::{Fields, put_len, put_text};
use crate::plan::{Plan, PlanStage};

/// Names of the values that processes on different CPUs cannot share.
const OF_MACHINE: [&str; 2] = [CPU, EXECUTABLE];
const CPU: &str = "CPU";
const EXECUTABLE: &str = "executable";
/// Digits of a hash that are shown.
const SHOWN: usize = 16;

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Returns the fingerprint of what this process is about to run: the file's text, what the command line says of it, the plan that came
    /// of both, the models, this program and this CPU.
    ///
    /// # Errors
    /// A model or the program cannot be read.
    pub fn of(plan: &Plan, text: &str, given: &[(String, String)]) -> Result<Self, String> {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add("program", env!("CARGO_PKG_VERSION"));
        fingerprint.add(CPU, &cpu());
        fingerprint.add(EXECUTABLE, &executable()?);
        fingerprint.add("file", &hash_of(text.as_bytes()));
        for (name, value) in given {
            fingerprint.add(name, value);
        }
        fingerprint.add(
            "pipeline",
            &format!("{} {:?} {:?} window {}", plan.name, plan.epoch, plan.round, plan.window),
        );
        for port in &plan.record {
            fingerprint.add("recorded", &plan.full_name(*port));
        }
        for stage in &plan.stages {
            fingerprint.add_stage(plan, stage)?;
        }
        Ok(fingerprint)
    }

    /// Returns the values that are kept beside recorded rows: which program ran what, on which CPU.
    pub fn of_recording(self) -> BTreeMap<String, String> {
        let kept = |name: &str| ["program", CPU, "file"].contains(&name) || name.starts_with("model of ");
        self.0.into_iter().filter(|(name, _)| kept(name)).collect()
    }

    fn add_stage(&mut self, plan: &Plan, stage: &PlanStage) -> Result<(), String> {
        let id = &stage.id;
        for (option, value) in &stage.options {
            self.add(&format!("stage.{id}.{option}"), &value.to_string());
        }
        let from: Vec<Vec<String>> =
            stage.inputs.iter().map(|i| i.from.iter().map(|at| plan.port_name(*at)).collect()).collect();
        let columns: Vec<_> = stage.inputs.iter().map(|i| &i.schema).collect();
        let given: Vec<_> = stage.outputs.iter().map(|o| (&o.schema, o.label, o.read)).collect();
        let wired = format!("{} {from:?} {columns:?} {given:?} {:?}", stage.kind.name(), stage.rejected_to);
        self.add(&format!("plan of stage {id}"), &hash_of(wired.as_bytes()));
        for path in stage.role.models() {
            let hash = hash_of_path(&path).map_err(|e| format!("stage `{id}`: {}: {e}", path.display()))?;
            self.add(&format!("model of stage {id}"), &hash);
        }
        Ok(())
    }

    /// Adds a value; a second one of the same name is added to the first.
    pub fn add(&mut self, name: &str, value: &str) {
        let text = self.0.entry(name.to_owned()).or_default();
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(value);
    }

    /// Returns every difference to the fingerprint of another process, with both sides.
    pub(super) fn differences(
        &self,
        here: &str,
        other: &Fingerprint,
        there: &str,
        mixed_cpus: bool,
    ) -> Vec<String> {
        let nothing = "nothing".to_owned();
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let compared = names.into_iter().filter(|name| !(mixed_cpus && OF_MACHINE.contains(&name.as_str())));
        let mut text = Vec::new();
        for name in compared {
            let (ours, theirs) =
                (self.0.get(name).unwrap_or(&nothing), other.0.get(name).unwrap_or(&nothing));
            if ours != theirs {
                let remedy = if name == CPU {
                    "; their kernels may round otherwise: `--mixed-cpus` on every process allows it"
                } else {
                    ""
                };
                text.push(format!("{name}: {here} has {ours}, {there} has {theirs}{remedy}"));
            }
        }
        text
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.0.len());
        for (name, value) in &self.0 {
            put_text(out, name);
            put_text(out, value);
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let fingerprint =
            fields.list(|fields| Some((fields.text()?.to_owned(), fields.text()?.to_owned())))?;
        Some(Fingerprint(fingerprint.into_iter().collect()))
    }
}

fn hash_of(bytes: &[u8]) -> String {
    shown(Sha256::digest(bytes).as_slice())
}

fn shown(hash: &[u8]) -> String {
    format!("sha256 {}", hex(hash).get(..SHOWN).unwrap_or_default())
}

fn executable() -> Result<String, String> {
    let path = std::env::current_exe().map_err(|e| format!("this program: {e}"))?;
    hash_of_path(&path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The hash of a file, or of a folder's files by their names; links count as what they lead to.
fn hash_of_path(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.sort();
    for file in files {
        let name = file.strip_prefix(path).unwrap_or(&file).display().to_string();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(fs::metadata(&file)?.len().to_le_bytes());
        let mut reader = fs::File::open(&file)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                n => hash.update(buffer.get(..n).unwrap_or_default()),
            }
        }
    }
    Ok(shown(hash.finalize().as_slice()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

/// The kind of CPU and what it can do, as far as kernels are chosen by it.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    format!("{} {}", std::env::consts::ARCH, features(&text))
}

/// From the system's description of the first CPU: who made it, and which instructions for arithmetic it has.
fn features(cpuinfo: &str) -> String {
    const ARITHMETIC: [&str; 11] =
        ["sse4", "avx", "fma", "f16c", "bmi", "amx", "asimd", "fp", "sve", "bf16", "i8mm"];
    let first = cpuinfo.split("\n\n").next().unwrap_or_default();
    let value = |name: &str| {
        let line = first.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    };
    let words = value("flags").split_whitespace().chain(value("Features").split_whitespace());
    let mut known: Vec<&str> =
        words.filter(|word| ARITHMETIC.iter().any(|of| word.starts_with(of))).collect();
    known.sort_unstable();
    [value("vendor_id"), &known.join(" ")].join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(text: &[(&str, &str)]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        text.iter().for_each(|(name, value)| fingerprint.add(name, value));
        fingerprint
    }

    #[test]
    fn differences_are_told_with_both_sides() {
        let home = fingerprint(&[("file", "a"), ("param talk", "x"), ("CPU", "old"), ("same", "s")]);
        let west = fingerprint(&[("file", "b"), ("param walk", "y"), ("CPU", "new"), ("same", "s")]);
        let text = home.differences("home", &west, "west", false);
        assert_eq!(
            text,
            [
                "CPU: home has old, west has new; their kernels may round otherwise: `--mixed-cpus` on every process allows it",
                "file: home has a, west has b",
                "param talk: home has x, west has nothing",
                "param walk: home has nothing, west has y",
            ]
        );
        assert!(home.differences("home", &west, "west", true).iter().all(|text| !text.starts_with("CPU")));
        assert!(home.differences("home", &home, "west", false).is_empty());
    }

    #[test]
    fn a_folder_is_known_by_what_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        let at = |folder: &str| place.path().join(folder);
        for (folder, name, content) in [
            ("a", "x", "1"),
            ("a", "y", "2"),
            ("b", "x", "1"),
            ("b", "y", "2"),
            ("c", "x", "12"),
            ("c", "y", ""),
        ] {
            fs::create_dir_all(at(folder)).unwrap();
            fs::write(at(folder).join(name), content).unwrap();
        }
        let hash = |folder: &str| hash_of_path(&at(folder)).unwrap();
        assert_eq!(hash("a"), hash("b"));
        assert_ne!(hash("a"), hash("c"));
        assert!(hash_of_path(&at("d")).is_err());
    }

    #[test]
    fn a_cpu_is_known_by_its_arithmetic() {
        let check = |text: &str, expected: &str| assert_eq!(features(text), expected);
        check(
            "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 sse4_2 ht avx\n\nprocessor\t: 1\nflags\t: amx\n",
            "GenuineIntel avx avx2 fpu sse4_2",
        );
        check("processor : 0\nFeatures : fp asimd crc32 sve\n", "asimd fp sve");
        check("", "");
    }
}
