#![allow(clippy::cast_possible_truncation)]

use std::fs;

use arrow::array::{AsArray, UInt64Array};
use headwater_contract::units::Micros;
use headwater_contract::{FeedSink, RowId};

use super::*;

/// What a source gave.
#[derive(Default)]
struct Taken {
    rows: Vec<String>,
    positions: Vec<Position>,
    figures: std::collections::BTreeMap<&'static str, u64>,
    /// Stop after this many batches.
    enough: Option<usize>,
}

impl FeedSink for Taken {
    fn send(&mut self, batch: RecordBatch, position: Position) -> bool {
        let ids = identity::IdentityColumns::of(&batch).unwrap();
        for row in 0..batch.num_rows() {
            let content = if batch.column_by_name("text").is_some() {
                let texts = batch.columns().iter().skip(5).map(|texts| texts.as_string::<i32>().value(row));
                texts.collect::<Vec<_>>().join("|")
            } else {
                let samples = batch.column_by_name("samples").unwrap().as_list::<i32>().value(row);
                format!("{} samples", samples.len())
            };
            self.rows.push(format!(
                "{} {} {} {content}",
                ids.device(row),
                ids.seq(row),
                ids.captured_at(row).0
            ));
        }
        self.positions.push(position);
        self.enough.is_none_or(|enough| self.positions.len() < enough)
    }

    fn reject(&mut self, id: RowId, _: Micros, code: &'static str, _: String) -> bool {
        self.rows.push(format!("{} {} {code}", id.device, id.seq));
        true
    }

    fn count(&mut self, figure: &'static str, n: u64) {
        *self.figures.entry(figure).or_default() += n;
    }

    fn committed(&self) -> Option<Position> {
        None
    }
}

fn capture(options: &str) -> Capture {
    Capture::from_table(&options.parse().unwrap()).unwrap()
}

/// Where earlier lives left nothing but a position.
fn context<'a>(
    capture: &Capture,
    position: Option<Position>,
    saved: &'a StateTable,
    site: &'a Site,
) -> SourceContext<'a> {
    let schema = capture.signature().apply(&[]).unwrap().remove(0);
    SourceContext { id: "mic", pipeline: "home", schema, position, saved, site }
}

fn run(capture: &Capture, position: Option<Position>, enough: Option<usize>) -> (Taken, Result) {
    let (saved, site) = (StateTable::default(), Site::default());
    let source = SourceConfig::open(capture, context(capture, position, &saved, &site)).unwrap();
    let mut taken = Taken { enough, ..Taken::default() };
    let result = Box::new(source).run(Feed::new(&mut taken));
    (taken, result)
}

/// 16-bit mono WAV of silence and the sample speech `words` times.
fn wav(samples: &[f32]) -> Vec<u8> {
    let size = samples.len() as u32 * 2;
    let mut bytes = [&b"RIFF"[..], &(36 + size).to_le_bytes(), b"WAVEfmt \x10\0\0\0\x01\0\x01\0"].concat();
    bytes.extend([16_000u32.to_le_bytes(), 32_000u32.to_le_bytes()].concat());
    bytes.extend([&b"\x02\0\x10\0data"[..], &size.to_le_bytes()].concat());
    bytes.extend(samples.iter().flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes()));
    bytes
}

#[test]
fn columns_follow_from_the_options_alone() {
    let check = |options: &str, expected: &[&str]| {
        let schema = capture(options).signature().apply(&[]).unwrap().remove(0);
        let names: Vec<_> = schema.fields().iter().skip(5).map(|field| field.name().as_str()).collect();
        assert_eq!(names, expected, "{options}");
    };
    let audio = ["sample_rate", "samples"];
    check("path = '/nowhere'", &audio);
    check("path = '/nowhere/manifest.toml'", &audio);
    check("path = 'x.wav'", &audio);
    check("source = 'microphone'", &audio);
    check("path = 'x.jsonl'", &["text"]);
    check("path = 'x.ndjson'", &["text"]);
    check("path = 'x.csv'", &["text"]);
    check("path = '-'", &["text"]);
    check("path = '-'\nformat = 'csv'", &["text"]);
    check("path = 'x.csv'\nformat = 'audio'", &audio);
    check("path = 'x.txt'\nformat = 'jsonl'", &["text"]);
    check("path = 'x.parquet'", &["text"]);
    check("path = 'x'\nformat = 'parquet'", &["text"]);
    check("path = 'x.jsonl'\ncolumns = ['split', 'session']", &["text", "split", "session"]);
    check("path = 'x.parquet'\ntext_column = 'say'\ncolumns = ['say']", &["text", "say"]);
}

#[test]
fn options_that_contradict_each_other() {
    let check = |options: &str, expected: &[&str]| {
        let told: Vec<String> = capture(options).wrongs().into_iter().map(|wrong| wrong.option).collect();
        assert_eq!(told, expected, "{options}");
    };
    let microphone: &[&str] = if cfg!(feature = "microphone") { &[] } else { &["source"] };
    check("path = 'x'", &[]);
    check("", &["path"]);
    check("source = 'microphone'", microphone);
    check("source = 'microphone'\npath = 'x'", &[&["path"], microphone].concat());
    check("source = 'microphone'\nformat = 'csv'", &[&["format"], microphone].concat());
    check("path = '-'\nformat = 'audio'", &["format"]);
    check("path = 'x'\ndevice_column = 'who'", &["device_column"]);
    check("path = 'x.csv'\ndevice_column = 'who'\ncaptured_at_column = 'when'", &[]);
    check("path = '-'\nformat = 'parquet'", &["format"]);
    check("path = 'x.csv'\ncolumns = ['split', 'session']", &[]);
    check("path = 'x'\ncolumns = ['split']", &["columns"]);
    for own in ["device", "source", "seq", "part", "captured_at", "text", "sample_rate", "samples", ""] {
        check(&format!("path = 'x.csv'\ncolumns = ['split', '{own}']"), &["columns"]);
    }
    check("path = 'x.csv'\ncolumns = ['split', 'split']", &["columns"]);
    check("path = 'x.csv'\none_device = true\ndevice = 'all'", &[]);
    check("path = 'x'\none_device = true", &[]);
    check("path = 'x.csv'\none_device = true\ndevice_column = 'who'", &["device_column"]);
}

#[test]
fn what_is_not_there_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.csv"), "a,b\n").unwrap();
    let check = |name: &str, more: &str, words: &str| {
        let options = format!("path = '{}'\n{more}", folder.path().join(name).display());
        let error = SourceConfig::ready(&capture(&options), &Site::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check("absent", "", "does not exist");
    check("absent.jsonl", "", "does not exist");
    check("absent/deeper.wav", "", "does not exist");
    check("x.csv", "", "there is no column `text`; the first line names a, b");
    check("", "format = 'jsonl'", "is a folder");
    check("", "format = 'parquet'", "no regular file");
    check("absent.parquet", "", "does not exist");
    check(
        "x.csv",
        "columns = ['split']\ntext_column = 'a'",
        "there is no column `split`; the first line names a, b",
    );
    check("x.csv", "format = 'parquet'", "x.csv`: this is no Parquet file");
    fs::remove_file(folder.path().join("x.csv")).unwrap();
    check("", "", "holds no recordings");
}

#[test]
fn texts_become_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    fs::write(&path, "{\"say\": \"a\", \"device\": \"den\"}\n{}\n{\"say\": \"b\"}\n").unwrap();
    let capture = capture(&format!("path = '{}'\ntext_column = 'say'\ndevice = 'hall'", path.display()));
    SourceConfig::ready(&capture, &Site::default()).unwrap();
    let (taken, result) = run(&capture, None, None);
    result.unwrap();
    assert_eq!(taken.rows, ["den 0 0 a", "hall 1 column_missing", "hall 2 2000000 b"]);
    let (rest, _) = run(&capture, Some(taken.positions[0].clone()), None);
    assert_eq!(rest.rows, ["hall 1 column_missing", "hall 2 2000000 b"]);
}

#[test]
fn a_text_that_changed_before_the_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, header) in [("x.jsonl", ""), ("x.csv", "text\n")] {
        let path = folder.path().join(name);
        let line = |text: &str| {
            if header.is_empty() { format!("{{\"text\": \"{text}\"}}\n") } else { format!("{text}\n") }
        };
        let write = |texts: &[&str]| {
            let lines: String = texts.iter().map(|text| line(text)).collect();
            fs::write(&path, format!("{header}{lines}")).unwrap();
        };
        let capture = capture(&format!("path = '{}'", path.display()));
        write(&["one", "two"]);
        let (taken, result) = run(&capture, None, None);
        result.unwrap();
        let place = taken.positions.last().cloned();
        let check = |texts: &[&str], expected: std::result::Result<&[&str], &str>| {
            write(texts);
            let (taken, result) = run(&capture, place.clone(), None);
            match expected {
                Ok(rows) => assert_eq!(
                    (taken.rows, result.is_ok()),
                    (rows.iter().map(ToString::to_string).collect(), true)
                ),
                Err(what) => {
                    let told = result.unwrap_err().to_string();
                    assert!(told.contains(what) && taken.rows.is_empty(), "{told}");
                }
            }
        };
        check(&["one", "two"], Ok(&[]));
        check(&["one", "two", "three"], Ok(&["home 2 2000000 three"]));
        check(&["one", "TWO", "three"], Err("is not what it was: lines 1 to"));
        check(&["one"], Err("is not what it was"));
        check(&["zero", "one", "two"], Err("is not what it was"));
    }
}

fn talk(suffix: &str, more: &str) -> Capture {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/parquet/talk").with_extension(suffix);
    capture(&format!("path = '{}'\n{more}", path.display()))
}

/// Times, identities, kept columns, rejections: what was JSON lines and is Parquet gives the same rows.
#[test]
fn parquet_gives_the_rows_that_json_lines_give() {
    let check = |more: &str, in_parquet: &str| {
        let (lines, result) = run(&talk("jsonl", more), None, None);
        result.unwrap();
        let parquet = talk("parquet", &format!("{more}\n{in_parquet}"));
        SourceConfig::ready(&parquet, &Site::default()).unwrap();
        let (rows, result) = run(&parquet, None, None);
        result.unwrap();
        assert_eq!(rows.rows, lines.rows, "{more} {in_parquet}");
        assert_eq!(rows.figures["inputs_read"], 50);
        rows.rows
    };
    let rows = check("device = 'hall'", "");
    assert_eq!(rows.len(), 50);
    assert_eq!(rows[2], "device-2 2 1772439302000002 spiel das Lied vom Fluss 2");
    assert_eq!(rows[3], "hall 3 1772439303000003 3");
    assert_eq!(rows[11], "hall 11 column_missing");
    assert_eq!(rows[12], "device-0 12 12000000 spiel das Lied vom Fluss 12");
    check("", "text_column = 'text_large'");
    check("", "text_column = 'text_view'");
    check("captured_at_column = 'captured_at'", "")
        .iter()
        .for_each(|row| assert!(!row.contains(" 12000000 ")));
    check("device_column = 'session'", "");
    let rows = check("columns = ['split', 'session', 'spoken', 'weight', 'nothing']", "");
    assert_eq!(rows[2], "device-2 2 1772439302000002 spiel das Lied vom Fluss 2|train|0|true|0.25|");
    let rows = check("one_device = true\ndevice = 'all'\ncolumns = ['session']", "");
    assert!(rows.iter().all(|row| row.starts_with("all ")), "{rows:?}");
    check("one_device = true", "");
}

#[test]
fn a_parquet_file_can_be_resumed_anywhere() {
    let parquet = talk("parquet", "columns = ['session']");
    let (whole, _) = run(&parquet, None, None);
    for next in 0..=50 {
        let place = Place { items: next, ..Place::default() };
        let (rest, result) = run(&parquet, Some(Position(place.to_bytes())), None);
        result.unwrap();
        assert_eq!(rest.rows, whole.rows[usize::try_from(next).unwrap()..], "from {next}");
    }
    assert_eq!(Place::from_bytes(&whole.positions.last().unwrap().0).unwrap().items, 50);
}

#[test]
fn a_parquet_file_that_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    fs::copy(talk("parquet", "").path(), &path).unwrap();
    let capture = capture(&format!("path = '{}'", path.display()));
    let (taken, result) = run(&capture, None, None);
    result.unwrap();
    for position in [taken.positions.first(), taken.positions.last()] {
        assert!(run(&capture, position.cloned(), None).1.is_ok());
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[2784..3082].fill(0);
    fs::write(&path, &bytes).unwrap();
    for position in [taken.positions.first(), taken.positions.last()] {
        let (again, result) = run(&capture, position.cloned(), None);
        let told = result.unwrap_err().to_string();
        assert!(told.contains("x.parquet` is not what it was: ") && again.rows.is_empty(), "{told}");
    }
}

/// Rows of a row group that cannot be read are rejected once; the numbers of all others stay.
#[test]
fn a_damaged_parquet_file_gives_what_is_left_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(talk("parquet", "").path()).unwrap();
    let whole = run(&talk("parquet", ""), None, None).0.rows;
    bytes[2784..3082].fill(0);
    let path = folder.path().join("x.parquet");
    let capture = capture(&format!("path = '{}'", path.display()));
    fs::write(&path, &bytes).unwrap();
    SourceConfig::ready(&capture, &Site::default()).unwrap();
    let (taken, result) = run(&capture, None, None);
    result.unwrap();
    assert_eq!(taken.rows, [&whole[..20], &["home 20 rows_unreadable".to_owned()], &whole[40..]].concat());
    fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let error = SourceConfig::ready(&capture, &Site::default()).unwrap_err().to_string();
    assert!(error.contains("x.parquet`: the Parquet file is cut off"), "{error}");
}

#[test]
fn a_position_of_another_version_is_refused() {
    let capture = capture("path = 'x.jsonl'");
    let (saved, site) = (StateTable::default(), Site::default());
    let cx = context(&capture, Some(Position(vec![9; 33])), &saved, &site);
    assert!(SourceConfig::open(&capture, cx).is_err());
}

/// Speech from the kept recordings, good files and bad ones, left at every batch and resumed.
#[test]
fn recordings_become_rows_and_bad_ones_are_rejected() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/samples");
    let speech = read(&samples.join("speech-16000-1.ogg"));
    let pause = vec![0.0; 16_000 * 3];
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let twice = wav(&[&speech[..], &pause[..], &speech[..]].concat());
    put("den/1-twice.wav", &twice);
    put("den/2-silent.wav", &wav(&pause));
    put("den/3-cut.wav", &twice[..twice.len() * 3 / 4]);
    put("den/4-empty.wav", b"");
    put("den/5-text.wav", b"my number is 555");
    put("hall/once.ogg", &fs::read(samples.join("speech-16000-1.ogg")).unwrap());
    let capture = capture(&format!("path = '{}'", folder.path().display()));
    SourceConfig::ready(&capture, &Site::default()).unwrap();
    let (whole, result) = run(&capture, None, None);
    result.unwrap();
    let told: Vec<String> =
        whole.rows.iter().map(|row| row.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        told,
        [
            "den 0",
            "den 1",
            "den 2000000",
            "den 2000001",
            "den 2000002",
            "den 3000000",
            "den 4000000",
            "hall 0"
        ],
        "{:?}",
        whole.rows
    );
    let codes: Vec<_> = whole.rows.iter().filter(|row| !row.ends_with("samples")).collect();
    assert_eq!(codes, ["den 2000002 audio_truncated", "den 3000000 file_empty", "den 4000000 not_audio"]);
    assert_eq!(whole.figures["silent_files"], 1);
    for left_after in 1..=whole.positions.len() {
        let (first, stopped) = run(&capture, None, Some(left_after));
        assert!(stopped.is_err());
        let (rest, result) = run(&capture, first.positions.last().cloned(), None);
        result.unwrap();
        assert_eq!([&first.rows[..], &rest.rows[..]].concat(), whole.rows, "left after batch {left_after}");
    }
}

fn read(path: &Path) -> Vec<f32> {
    let mut reader = headwater_datasets::audio::AudioReader::open(path).unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        all.extend_from_slice(chunk);
    }
    all
}

#[test]
fn the_seqs_of_one_batch_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let rows: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    fs::write(&path, format!("text\n{rows}")).unwrap();
    let (taken, result) = run(&capture(&format!("path = '{}'", path.display())), None, None);
    result.unwrap();
    let seqs = taken.rows.iter().map(|row| row.split(' ').nth(1).unwrap().parse::<u64>().unwrap());
    assert_eq!(seqs.collect::<UInt64Array>(), (0..1000).collect::<UInt64Array>());
    assert_eq!(taken.positions.len(), 4);
}
