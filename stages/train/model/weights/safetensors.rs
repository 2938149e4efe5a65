//! Safetensors files go in, one or several with an index; where each tensor lies comes out. Knows the container and
//! the names of its files, no architecture.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use ::safetensors::tensor::Metadata;
use headwater_dtype::Dtype;
use serde_json::Value;

use super::super::detected_format::{ENOUGH, JSON, SAFETENSORS};
use super::super::file::Bytes;
use super::super::problem::{Problems, few, shorten};
use super::super::tensor::byte_len;
use super::{Place, TensorLocation};

/// A model in one file.
const SINGLE: &str = "model.safetensors";
/// Where the tensors of a model in several files are.
const INDEX: &str = "model.safetensors.index.json";
/// Headers beyond this are refused by the format's own library.
const LONGEST_HEADER: u64 = 100_000_000;

/// The tensors in a folder's files.
#[derive(Debug, Default)]
pub(super) struct Shards {
    /// The open files and their names.
    pub files: Vec<(String, Bytes)>,
    /// Where each tensor lies.
    pub tensors: HashMap<String, TensorLocation>,
    /// Tensors of files that cannot be read: that they are missing need not be reported again.
    pub excused: BTreeSet<String>,
}

/// Opens the weights of a folder in Hugging Face's layout.
pub(super) fn open(folder: &Path, problems: &mut Problems) -> Option<Shards> {
    let mut shards = Shards::default();
    if folder.join(SINGLE).exists() {
        shards.add(folder, SINGLE, problems)?;
        return Some(shards);
    }
    let Ok(index) = std::fs::read(folder.join(INDEX)) else {
        let there = others(folder);
        let found = if there.is_empty() { "no such file".to_owned() } else { few(&there) };
        problems.add(SINGLE, "", found, format!("the weights in one file, or {INDEX}"));
        return None;
    };
    let json: Option<Value> = serde_json::from_slice(&index).ok();
    if json.is_none() && problems.add_mistaken(INDEX, &index, JSON) {
        return None;
    }
    let Some(map) = json.as_ref().and_then(|j| j.get("weight_map")).and_then(Value::as_object) else {
        problems.add(INDEX, "weight_map", "no such object", "a table of tensors and their files");
        return None;
    };
    let mut files: HashMap<&str, Vec<&String>> = HashMap::new();
    for (tensor, file) in map {
        let name = file.as_str().unwrap_or_default();
        // Names come from the file: none may lead out of the folder.
        if !name.ends_with(".safetensors") || name.contains(['/', '\\', ':']) {
            problems.add(INDEX, tensor, shorten(&file.to_string()), "a .safetensors file of this folder");
            shards.excused.insert(tensor.clone());
        } else {
            files.entry(name).or_default().push(tensor);
        }
    }
    let mut names: Vec<&str> = files.keys().copied().collect();
    names.sort_unstable();
    for name in names {
        if shards.add(folder, name, problems).is_none() {
            let lost = files.get(name).into_iter().flatten().map(|t| (*t).clone());
            shards.excused.extend(lost);
        }
    }
    Some(shards)
}

impl Shards {
    fn add(&mut self, folder: &Path, name: &str, problems: &mut Problems) -> Option<()> {
        let bytes = match Bytes::open(&folder.join(name)) {
            Ok(bytes) => bytes,
            Err(e) => {
                problems.add(name, "", format!("it cannot be opened ({e})"), "a readable file");
                return None;
            }
        };
        let (data, metadata) = match header(&bytes) {
            Ok(header) => header,
            Err((found, expected)) => {
                let first = bytes.first(ENOUGH).unwrap_or_default();
                if !problems.add_mistaken(name, &first, SAFETENSORS) {
                    problems.add(name, "", found, expected);
                }
                return None;
            }
        };
        let file = self.files.len();
        let mut cut = Vec::new();
        let mut end_of_all = data;
        for (tensor, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let (start, end) = (data.saturating_add(start as u64), data.saturating_add(end as u64));
            end_of_all = end_of_all.max(end);
            let dtype = known(info.dtype);
            let size = dtype.and_then(|d| byte_len(&info.shape, d)).map(|n| n as u64);
            if end > bytes.len() {
                cut.push(tensor.clone());
                self.excused.insert(tensor);
            } else if dtype.is_some() && size != end.checked_sub(start) {
                let found = format!("bytes {start} to {end} for shape {:?} in {:?}", info.shape, info.dtype);
                problems.add(name, &tensor, found, "exactly the bytes of its shape");
                self.excused.insert(tensor);
            } else {
                let found = TensorLocation {
                    shape: info.shape.clone(),
                    stored: dtype.ok_or_else(|| format!("{:?}", info.dtype)),
                    file: name.to_owned(),
                    place: Place::Range { file, start },
                };
                if let Some(first) = self.tensors.insert(tensor.clone(), found) {
                    problems.add(
                        name,
                        tensor,
                        format!("the tensor of {} a second time", first.file),
                        "it once",
                    );
                }
            }
        }
        cut.sort();
        if !cut.is_empty() {
            let found = format!("a file of {} bytes", bytes.len());
            problems.add(name, few(&cut), found, format!("{end_of_all} bytes: the file is cut short"));
        }
        self.files.push((name.to_owned(), bytes));
        Some(())
    }
}

/// The start of the data, and what lies where in it.
fn header(bytes: &Bytes) -> Result<(u64, Metadata), (String, String)> {
    let cut = |e: std::io::Error| (format!("no header ({e})"), "a safetensors file".to_owned());
    let first = bytes.read(0, 8).map_err(cut)?;
    let len = <[u8; 8]>::try_from(first).map_or(u64::MAX, u64::from_le_bytes);
    let most = bytes.len().saturating_sub(8).min(LONGEST_HEADER);
    let short = usize::try_from(len).ok().filter(|_| len <= most);
    let Some(short) = short else {
        return Err((format!("a header of {len} bytes"), format!("at most {most} in this file")));
    };
    let text = bytes.read(8, short).map_err(cut)?;
    let metadata =
        parse(&text).map_err(|e| (format!("a header that cannot be read ({e})"), "JSON".into()))?;
    Ok((8 + len, metadata))
}

fn parse(header: &[u8]) -> Result<Metadata, serde_json::Error> {
    serde_json::from_slice(header)
}

/// Any bytes go in, as the JSON header of a safetensors file; nothing may go wrong. For fuzzing.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(metadata) = parse(bytes) {
        for info in metadata.tensors().values() {
            let _ = known(info.dtype).and_then(|d| byte_len(&info.shape, d));
        }
    }
}

fn known(dtype: ::safetensors::Dtype) -> Option<Dtype> {
    match dtype {
        ::safetensors::Dtype::F32 => Some(Dtype::F32),
        ::safetensors::Dtype::F16 => Some(Dtype::F16),
        ::safetensors::Dtype::BF16 => Some(Dtype::Bf16),
        _ => None,
    }
}

/// Files of weights in other formats, for the message.
fn others(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter(|n| [".bin", ".pt", ".pth", ".safetensors", ".gguf"].iter().any(|ending| n.ends_with(ending)))
        .collect();
    names.sort();
    names
}
