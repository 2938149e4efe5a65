//! LibriSpeech's folders: `SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` with a line for each recording beside it.
//!
//! In: a folder. Out: its recordings with their texts, the speaker as device; nothing where it has no transcripts. It must not know
//! what the texts are.

use std::path::{Path, PathBuf};

use super::{Dataset, Fault, Row};

/// Suffixes of recordings, in the order in which they are looked for.
const SUFFIXES: [&str; 4] = ["flac", "wav", "mp3", "ogg"];

pub(super) fn read(root: &Path) -> Result<Option<Dataset>, Vec<Fault>> {
    let mut transcripts = Vec::new();
    find(root, &mut transcripts)
        .map_err(|error| vec![Fault::new(root.display(), format!("the folder cannot be read: {error}"))])?;
    if transcripts.is_empty() {
        return Ok(None);
    }
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut dataset = Dataset { name, root: root.to_owned(), ..Dataset::default() };
    let mut faults = Vec::new();
    for transcript in transcripts {
        match crate::regular::read_to_string(&transcript) {
            Ok(text) => lines(root, &transcript, &text, &mut dataset.rows, &mut faults),
            Err(error) => {
                faults.push(Fault::new(transcript.display(), format!("it cannot be read as text: {error}")));
            }
        }
    }
    if faults.is_empty() { Ok(Some(dataset)) } else { Err(faults) }
}

/// Transcripts, sorted at each level: the same list on every machine.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(".trans.txt") {
            found.push(path);
        }
    }
    Ok(())
}

fn lines(root: &Path, transcript: &Path, text: &str, rows: &mut Vec<Row>, faults: &mut Vec<Fault>) {
    let folder = transcript.parent().unwrap_or(root);
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}:{}", transcript.display(), at + 1);
        let (id, said) = line.split_once(' ').unwrap_or((line, ""));
        let speaker = id.split('-').next().filter(|speaker| !speaker.is_empty());
        let audio =
            SUFFIXES.iter().map(|suffix| folder.join(format!("{id}.{suffix}"))).find(|path| path.is_file());
        let (Some(speaker), Some(audio)) = (speaker, audio) else {
            faults.push(Fault::new(
                place,
                "no recording (.flac, .wav, .mp3, .ogg) of this line's name lies beside it",
            ));
            continue;
        };
        rows.push(Row {
            id: id.to_owned(),
            device: speaker.to_owned(),
            audio: Some(audio.strip_prefix(root).unwrap_or(&audio).to_owned()),
            text: Some(said.to_owned()),
            clean: true,
            place,
            ..Row::default()
        });
    }
}
