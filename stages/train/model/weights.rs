//! A folder of safetensors files or a GGUF file goes in; one view of named tensors comes out, with Hugging Face's names
//! and order of rows whatever the source. Every tensor is checked for presence, type and shape before one is used.
//! Knows no arithmetic of the model.

pub mod names;
mod safetensors;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use headwater_dtype::Dtype;
use sha2::{Digest, Sha256};

use super::config::{Architecture, Family};
use super::file::Bytes;
use super::gguf::{self, Gguf, TensorType};
use super::problem::{Problem, Problems, few};
use super::tensor::Tensor;

pub use safetensors::fuzz as fuzz_safetensors;

/// A checked set of tensors. They stay in their files until they are asked for.
#[derive(Debug)]
pub struct Weights {
    architecture: Architecture,
    entries: Vec<Entry>,
    index: HashMap<String, usize>,
    source: Source,
}

/// One tensor: what it is, and where.
#[derive(Debug)]
pub struct Entry {
    /// The canonical name, such as `model.layers.0.mlp.up_proj.weight`.
    pub name: String,
    /// The shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// The type of its numbers.
    pub dtype: Dtype,
    place: Place,
}

impl Entry {
    /// Numbers in it.
    pub fn numbers(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes that it takes as stored.
    pub fn bytes(&self) -> usize {
        super::tensor::byte_len(&self.shape, self.dtype).unwrap_or_default()
    }
}

#[derive(Debug)]
enum Source {
    Files(Vec<(String, Bytes)>),
    Gguf(Gguf),
}

/// Where a tensor's bytes are.
#[derive(Debug, Clone)]
enum Place {
    /// From a byte of a file on.
    Range { file: usize, start: u64 },
    /// Under a name in the GGUF file; whether the rows of its heads are permuted there.
    Gguf { name: String, permuted: bool },
}

/// A tensor that a source has, before it is checked.
#[derive(Debug)]
struct TensorLocation {
    shape: Vec<usize>,
    /// The format, or the name of one that cannot be read.
    stored: Result<Dtype, String>,
    file: String,
    place: Place,
}

impl Weights {
    /// The weights of a folder in Hugging Face's layout: model.safetensors, or several files with an index.
    pub fn open_folder(
        folder: &Path,
        architecture: &Architecture,
        problems: &mut Problems,
    ) -> Option<Weights> {
        let shards = safetensors::open(folder, problems)?;
        let file = match shards.files.as_slice() {
            [(one, _)] => one.clone(),
            _ => "*.safetensors".to_owned(),
        };
        let mut tensors = shards.tensors;
        // Old files keep the rotary frequencies, and tied ones a copy of the head: neither is used.
        tensors.retain(|name, _| {
            let copy = architecture.tied && name == names::HEAD;
            !(copy || name.ends_with(".rotary_emb.inv_freq"))
        });
        let readable = ("F32, F16 or BF16", "");
        let entries = check(&file, readable, architecture, tensors, &shards.excused, problems);
        Some(Weights::new(architecture, entries, Source::Files(shards.files)))
    }

    /// The weights of a GGUF file. The rows of q and k are put back to Hugging Face's order.
    pub fn open_gguf(file: Gguf, architecture: &Architecture, problems: &mut Problems) -> Option<Weights> {
        let mut tensors = HashMap::new();
        for (theirs, info) in &file.header().tensors {
            if theirs == "rope_freqs.weight" {
                continue; // read with the architecture
            }
            let name = names::from_gguf(theirs).unwrap_or_else(|| theirs.clone());
            let permuted = architecture.family != Family::Qwen2 && names::is_permuted(&name);
            let found = TensorLocation {
                shape: info.shape.clone(),
                stored: match info.stored {
                    TensorType::Supported(dtype) => Ok(dtype),
                    unknown @ TensorType::Unsupported(_) => Err(unknown.to_string()),
                },
                file: file.name().to_owned(),
                place: Place::Gguf { name: theirs.clone(), permuted },
            };
            tensors.insert(name, found);
        }
        let name = file.name().to_owned();
        let readable = (gguf::READABLE, gguf::READ_ANOTHER);
        let entries = check(&name, readable, architecture, tensors, &BTreeSet::new(), problems);
        Some(Weights::new(architecture, entries, Source::Gguf(file)))
    }

    fn new(architecture: &Architecture, entries: Vec<Entry>, source: Source) -> Weights {
        let index = entries.iter().enumerate().map(|(i, e)| (e.name.clone(), i)).collect();
        Weights { architecture: architecture.clone(), entries, index, source }
    }

    /// All tensors, in the order of computation: token table, layers, last norm, head if it is not tied.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a tensor, by its canonical name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.index.get(name).and_then(|i| self.entries.get(*i))
    }

    /// A tensor as it is stored, with its rows in canonical order: to be kept, and turned into f32 at each use.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Problem> {
        let Some(entry) = self.entry(name) else {
            return Err(Problem {
                file: String::new(),
                item: name.to_owned(),
                found: "no such tensor in this architecture".into(),
                expected: "a canonical name, such as model.embed_tokens.weight".into(),
                help: String::new(),
            });
        };
        match (&entry.place, &self.source) {
            (Place::Range { file, start }, Source::Files(files)) => {
                let (file, bytes) = files.get(*file).ok_or_else(|| changed("", name, "its file closed"))?;
                let read = bytes.read(*start, entry.bytes());
                let read =
                    read.map_err(|e| changed(file, name, &format!("bytes that cannot be read ({e})")))?;
                Tensor::new(entry.shape.clone(), entry.dtype, read)
                    .ok_or_else(|| changed(file, name, "another size"))
            }
            (Place::Gguf { name: theirs, permuted }, Source::Gguf(file)) => {
                let tensor = file.tensor(theirs)?;
                if !permuted {
                    return Ok(tensor);
                }
                let head_dim = self.architecture.head_dim;
                tensor
                    .with_rows_from(|row| names::permuted_row(row, head_dim))
                    .ok_or_else(|| changed(file.name(), name, "rows that are no whole heads"))
            }
            _ => Err(changed("", name, "another source")),
        }
    }

    /// All numbers of a tensor as f32, row after row.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, Problem> {
        self.tensor(name).map(|tensor| tensor.to_f32())
    }

    /// The identity of the base: SHA-256 over the line `headwater base 1`, the architecture's canonical line, and for
    /// each tensor in order its name, a space, its dimensions joined by `x`, a line feed, and its numbers as f32,
    /// little-endian. So it is the same for a GGUF file and for a folder with the same numbers, and differs wherever
    /// an adapter would meet another model. It reads all weights once.
    pub fn fingerprint(&self) -> Result<[u8; 32], Problem> {
        let mut sha = Sha256::new();
        sha.update(format!("headwater base 1\n{}\n", self.architecture.canonical()));
        for entry in &self.entries {
            let dims: Vec<String> = entry.shape.iter().map(ToString::to_string).collect();
            sha.update(format!("{} {}\n", entry.name, dims.join("x")));
            hash_numbers(&self.tensor(&entry.name)?, &mut sha);
        }
        Ok(sha.finalize().into())
    }
}

/// Some rows at a time, so that no tensor stands in memory as f32.
fn hash_numbers(tensor: &Tensor, sha: &mut Sha256) {
    const NUMBERS: usize = 1 << 16;
    let (rows, row_len) = (tensor.rows(), tensor.row_len());
    let step = (NUMBERS / row_len.max(1)).max(1);
    let (mut numbers, mut bytes) = (Vec::new(), Vec::new());
    for start in (0..rows).step_by(step) {
        let end = (start + step).min(rows);
        numbers.resize((end - start) * row_len, 0.0f32);
        tensor.read_rows(start..end, &mut numbers);
        bytes.clear();
        bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        sha.update(&bytes);
    }
}

fn changed(file: &str, item: &str, found: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        item: item.to_owned(),
        found: found.to_owned(),
        expected: "the file as it was when it was opened".into(),
        help: String::new(),
    }
}

/// The number of problems of one sort that are listed one by one.
const ONE_BY_ONE: usize = 6;

/// Holds what a source has against what the architecture needs.
fn check(
    file: &str,
    (readable, help): (&str, &str),
    architecture: &Architecture,
    mut tensors: HashMap<String, TensorLocation>,
    excused: &BTreeSet<String>,
    problems: &mut Problems,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut missing, mut shapes) = (Vec::new(), Vec::new());
    let mut types: HashMap<String, Vec<String>> = HashMap::new();
    for (name, shape) in names::expected(architecture) {
        let Some(found) = tensors.remove(&name) else {
            if !excused.contains(&name) {
                missing.push((
                    name,
                    "no such tensor".to_owned(),
                    format!("shape {shape:?}"),
                    file.to_owned(),
                ));
            }
            continue;
        };
        let theirs = match &found.place {
            Place::Gguf { name, .. } => name.clone(),
            Place::Range { .. } => name.clone(),
        };
        if found.shape != shape {
            shapes.push((theirs, format!("shape {:?}", found.shape), format!("{shape:?}"), found.file));
            continue;
        }
        match found.stored {
            Ok(dtype) => entries.push(Entry { name, shape, dtype, place: found.place }),
            Err(stored) => types.entry(stored).or_default().push(theirs),
        }
    }
    for group in [missing, shapes] {
        let rest: Vec<&str> = group.iter().skip(ONE_BY_ONE).map(|(item, ..)| item.as_str()).collect();
        for (item, found, expected, file) in group.iter().take(ONE_BY_ONE) {
            problems.add(file, item, found, expected);
        }
        if !rest.is_empty() {
            problems.add(file, few(&rest), "the same", "the same as above, in each of them");
        }
    }
    let mut types: Vec<(String, Vec<String>)> = types.into_iter().collect();
    types.sort();
    for (stored, names) in types {
        let (file, item, found) = (file.to_owned(), few(&names), format!("type {stored}"));
        problems.push(Problem { file, item, found, expected: readable.to_owned(), help: help.to_owned() });
    }
    let mut unexpected: Vec<String> = tensors.into_keys().filter(|n| !excused.contains(n)).collect();
    unexpected.sort();
    if !unexpected.is_empty() {
        let expected =
            "only the tensors of this architecture: a model computed without them would be another";
        problems.add(file, few(&unexpected), format!("{} further tensors", unexpected.len()), expected);
    }
    entries
}

#[cfg(test)]
pub(super) mod tests;
