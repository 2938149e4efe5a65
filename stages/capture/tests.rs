#![allow(clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use arrow::array::{AsArray, UInt64Array};
use headwater_contract::testing::{SourceItem, SourceOutput};

use super::*;

mod recordings;

/// The output of a source, in a form to compare.
#[derive(Default)]
struct CaptureOutput {
    rows: Vec<String>,
    files: BTreeSet<String>,
    remembered: StateTable,
    /// Parts of the rows, and reasons of those that were rejected.
    parts: Vec<u32>,
    reasons: Vec<String>,
    positions: Vec<Position>,
    metrics: BTreeMap<&'static str, u64>,
}

impl CaptureOutput {
    fn add(&mut self, batch: &RecordBatch) {
        let ids = identity::IdentityColumns::of(batch).unwrap();
        for row in 0..batch.num_rows() {
            self.files.insert(text_column(batch, FILE).map_or("", |files| files.value(row)).to_owned());
            self.parts.push(ids.id(row).part);
            let content = if batch.column_by_name("text").is_some() {
                let texts = batch.columns().iter().skip(6).map(|texts| texts.as_string::<i32>().value(row));
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
    }
}

impl From<SourceOutput> for CaptureOutput {
    fn from(output: SourceOutput) -> Self {
        let SourceOutput { items, positions, remembered, metrics, .. } = output;
        let mut captured = Self { remembered, positions, metrics, ..Self::default() };
        for item in items {
            match item {
                SourceItem::Batch(batch) => captured.add(&batch),
                SourceItem::Rejection(id, code, reason) => {
                    captured.reasons.push(reason);
                    captured.rows.push(format!("{} {} {code}", id.device, id.seq));
                }
                SourceItem::End(_) => {}
            }
        }
        captured
    }
}

/// Writes a file as if it had been seven seconds after 1970.
fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    dated(path, 7);
}

fn dated(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

fn capture(options: &str) -> Capture {
    Capture::from_table(&options.parse().unwrap()).unwrap()
}

/// The context after attempts that left nothing but a position.
fn context<'a>(
    capture: &Capture,
    position: Option<Position>,
    saved: &'a StateTable,
    site: &'a HostEnv,
) -> SourceContext<'a> {
    let schema = capture.signature().apply(&[]).unwrap().remove(0);
    SourceContext { id: "mic", pipeline: "home", schema, position, saved, host: site }
}

fn run(capture: &Capture, position: Option<Position>, enough: Option<usize>) -> (CaptureOutput, Result) {
    run_after(capture, position, enough, StateTable::default())
}

/// An attempt that finds what earlier ones remembered.
fn run_after(
    capture: &Capture,
    position: Option<Position>,
    enough: Option<usize>,
    saved: StateTable,
) -> (CaptureOutput, Result) {
    let site = HostEnv::default();
    let source = SourceConfig::open(capture, context(capture, position, &saved, &site)).unwrap();
    let mut output = SourceOutput { stop_after: enough, remembered: saved, ..SourceOutput::default() };
    let result = Box::new(source).run(Feed::new(&mut output));
    (output.into(), result)
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
    let audio = ["file", "sample_rate", "samples"];
    check("path = '/nowhere'", &audio);
    check("path = '/nowhere/manifest.toml'", &audio);
    check("path = 'x.wav'", &audio);
    check("source = 'microphone'", &audio);
    check("path = 'x.jsonl'", &["file", "text"]);
    check("path = 'x.ndjson'", &["file", "text"]);
    check("path = 'x.csv'", &["file", "text"]);
    check("path = '-'", &["file", "text"]);
    check("path = '-'\nformat = 'csv'", &["file", "text"]);
    check("path = 'x.csv'\nformat = 'audio'", &audio);
    check("path = 'x.txt'\nformat = 'jsonl'", &["file", "text"]);
    check("path = 'x.parquet'", &["file", "text"]);
    check("path = 'x'\nformat = 'parquet'", &["file", "text"]);
    check("path = 'x.jsonl'\ncolumns = ['split', 'session']", &["file", "text", "split", "session"]);
    check("path = 'x.parquet'\ntext_column = 'say'\ncolumns = ['say']", &["file", "text", "say"]);
}

#[test]
fn options_that_contradict_each_other() {
    let check = |options: &str, expected: &[&str]| {
        let actual: Vec<String> = capture(options).validate().into_iter().map(|error| error.option).collect();
        assert_eq!(actual, expected, "{options}");
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
    for own in
        ["device", "source", "seq", "part", "captured_at", "file", "text", "sample_rate", "samples", ""]
    {
        check(&format!("path = 'x.csv'\ncolumns = ['split', '{own}']"), &["columns"]);
    }
    check("path = 'x.csv'\ncolumns = ['split', 'split']", &["columns"]);
    check("path = 'x.csv'\ndelimiter = ';'\ntime_format = '%d.%m.%Y'\ntime_zone = 'Europe/Berlin'", &[]);
    check("path = 'x.tsv'", &[]);
    check("path = 'x.csv'\ndelimiter = '\\t'", &[]);
    for error in [";;", "", "\"", "ü"] {
        check(&format!("path = 'x.csv'\ndelimiter = '{error}'"), &["delimiter"]);
    }
    check("path = 'x.jsonl'\ndelimiter = ';'", &["delimiter"]);
    check("path = 'x'\ndelimiter = ';'", &["delimiter"]);
    check("path = 'x'\ntime_format = 'unix'", &["time_format"]);
    check("path = 'x'\ntime_zone = 'Europe/Berlin'", &[]);
    check("path = 'x.csv'\ntime_zone = 'Mars'", &["time_zone"]);
    check("path = 'x.csv'\ntime_format = '%d.%m.%Y'", &["time_format"]);
    check("path = 'x.csv'\none_device = true\ndevice = 'all'", &[]);
    check("path = 'x'\none_device = true", &[]);
    check("path = 'x'\nchannels = 'split'", &[]);
    check("path = 'x.csv'\nchannels = 'split'", &["channels"]);
    check("path = 'x.csv'\nchannels = 2", &["channels"]);
    check("path = 'x.csv'\none_device = true\ndevice_column = 'who'", &["device_column"]);
}

#[test]
fn what_is_not_there_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.csv"), "a,b\n").unwrap();
    let check = |name: &str, more: &str, words: &str| {
        let options = format!("path = '{}'\n{more}", folder.path().join(name).display());
        let error = SourceConfig::ready(&capture(&options), &HostEnv::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check("absent", "", "does not exist");
    check("absent.jsonl", "", "does not exist");
    check("absent/deeper.wav", "", "does not exist");
    check("x.csv", "", "there is no column `text`; the first line names a, b");
    let utf16: Vec<u8> = "text\na\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("utf16.csv"), [&b"\xff\xfe"[..], &utf16].concat()).unwrap();
    check("utf16.csv", "", "is a text in UTF-16");
    check("utf16.csv", "format = 'jsonl'", "is a text in UTF-16");
    fs::remove_file(folder.path().join("utf16.csv")).unwrap();
    check("", "format = 'jsonl'", "holds no texts");
    check("*.parquet", "", "holds no texts");
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
    write(&path, "{\"say\": \"a\", \"device\": \"den\"}\n{}\n{\"say\": \"b\"}\n");
    let capture = capture(&format!("path = '{}'\ntext_column = 'say'\ndevice = 'hall'", path.display()));
    SourceConfig::ready(&capture, &HostEnv::default()).unwrap();
    let (output, result) = run(&capture, None, None);
    result.unwrap();
    assert_eq!(output.rows, ["den 0 7000000 a", "hall 1 column_missing", "hall 2 7000000 b"]);
    assert_eq!(output.files.into_iter().collect::<Vec<_>>(), ["x.jsonl"]);
    // What the file's date was when it was first read is remembered; what is appended has a date of its own.
    fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"say\": \"c\"}\n").unwrap();
    dated(&path, 9);
    let (rest, _) = run_after(&capture, Some(output.positions[0].clone()), None, output.remembered);
    assert_eq!(rest.rows, ["hall 1 column_missing", "hall 2 7000000 b", "hall 3 9000000 c"]);
}

#[test]
fn a_text_that_changed_before_the_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, header) in [("x.jsonl", ""), ("x.csv", "text\n")] {
        let path = folder.path().join(name);
        let line = |text: &str| {
            if header.is_empty() { format!("{{\"text\": \"{text}\"}}\n") } else { format!("{text}\n") }
        };
        let put = |texts: &[&str]| {
            let lines: String = texts.iter().map(|text| line(text)).collect();
            write(&path, format!("{header}{lines}"));
        };
        let capture = capture(&format!("path = '{}'", path.display()));
        put(&["one", "two"]);
        let (output, result) = run(&capture, None, None);
        result.unwrap();
        let (place, remembered) = (output.positions.last().cloned(), output.remembered);
        let check = |texts: &[&str], expected: std::result::Result<&[&str], &str>| {
            put(texts);
            let (output, result) = run_after(&capture, place.clone(), None, remembered.clone());
            match expected {
                Ok(rows) => assert_eq!(
                    (output.rows, result.is_ok()),
                    (rows.iter().map(ToString::to_string).collect(), true)
                ),
                Err(what) => {
                    let actual = result.unwrap_err().to_string();
                    assert!(actual.contains(what) && output.rows.is_empty(), "{actual}");
                }
            }
        };
        check(&["one", "two"], Ok(&[]));
        check(&["one", "two", "three"], Ok(&["home 2 7000000 three"]));
        check(&["one", "TWO", "three"], Err("is not what it was: lines 1 to"));
        check(&["one"], Err("is not what it was"));
        check(&["zero", "one", "two"], Err("is not what it was"));
    }
}

/// The kept text in each of its forms, all of one date.
static TALK: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for suffix in ["jsonl", "parquet"] {
        let name = format!("talk.{suffix}");
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/parquet").join(&name);
        write(&folder.path().join(name), fs::read(kept).unwrap());
    }
    folder
});

fn sample_text(suffix: &str, more: &str) -> Capture {
    let path = TALK.path().join("talk").with_extension(suffix);
    capture(&format!("path = '{}'\n{more}", path.display()))
}

/// Times, identities, kept columns, rejections: what was JSON lines and is Parquet gives the same rows.
#[test]
fn parquet_gives_the_rows_that_json_lines_give() {
    let check = |more: &str, in_parquet: &str| {
        let (lines, result) = run(&sample_text("jsonl", more), None, None);
        result.unwrap();
        let parquet = sample_text("parquet", &format!("{more}\n{in_parquet}"));
        SourceConfig::ready(&parquet, &HostEnv::default()).unwrap();
        let (rows, result) = run(&parquet, None, None);
        result.unwrap();
        assert_eq!(rows.rows, lines.rows, "{more} {in_parquet}");
        assert_eq!(rows.metrics["inputs_read"], 50);
        rows.rows
    };
    let rows = check("device = 'hall'", "");
    assert_eq!(rows.len(), 50);
    assert_eq!(rows[2], "device-2 2 1772439302000002 spiel das Lied vom Fluss 2");
    assert_eq!(rows[3], "hall 3 1772439303000003 3");
    assert_eq!(rows[11], "hall 11 column_missing");
    assert_eq!(rows[12], "device-0 12 7000000 spiel das Lied vom Fluss 12");
    check("", "text_column = 'text_large'");
    check("", "text_column = 'text_view'");
    check("captured_at_column = 'captured_at'", "")
        .iter()
        .for_each(|row| assert!(!row.contains(" 7000000 ")));
    check("device_column = 'session'", "");
    let rows = check("columns = ['split', 'session', 'spoken', 'weight', 'nothing']", "");
    assert_eq!(rows[2], "device-2 2 1772439302000002 spiel das Lied vom Fluss 2|train|0|true|0.25|");
    let rows = check("one_device = true\ndevice = 'all'\ncolumns = ['session']", "");
    assert!(rows.iter().all(|row| row.starts_with("all ")), "{rows:?}");
    check("one_device = true", "");
}

#[test]
fn a_parquet_file_can_be_resumed_anywhere() {
    let parquet = sample_text("parquet", "columns = ['session']");
    let (whole, _) = run(&parquet, None, None);
    for next in 0..=50 {
        let last = Place::from_bytes(&whole.positions.last().unwrap().0).unwrap();
        let place = Place { items: next, ..last };
        let remembered = whole.remembered.clone();
        let (rest, result) = run_after(&parquet, Some(Position(place.to_bytes())), None, remembered);
        result.unwrap();
        assert_eq!(rest.rows, whole.rows[usize::try_from(next).unwrap()..], "from {next}");
    }
    assert_eq!(Place::from_bytes(&whole.positions.last().unwrap().0).unwrap().items, 50);
}

#[test]
fn a_parquet_file_that_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    fs::copy(sample_text("parquet", "").path(), &path).unwrap();
    let capture = capture(&format!("path = '{}'", path.display()));
    let (output, result) = run(&capture, None, None);
    result.unwrap();
    for position in [output.positions.first(), output.positions.last()] {
        assert!(run_after(&capture, position.cloned(), None, output.remembered.clone()).1.is_ok());
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[2784..3082].fill(0);
    fs::write(&path, &bytes).unwrap();
    for position in [output.positions.first(), output.positions.last()] {
        let (again, result) = run_after(&capture, position.cloned(), None, output.remembered.clone());
        let actual = result.unwrap_err().to_string();
        assert!(actual.contains("x.parquet` is not what it was: ") && again.rows.is_empty(), "{actual}");
    }
}

/// Rows of a row group that cannot be read are rejected once; the numbers of all others stay.
#[test]
fn a_damaged_parquet_file_gives_what_is_left_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(sample_text("parquet", "").path()).unwrap();
    let whole = run(&sample_text("parquet", ""), None, None).0.rows;
    bytes[2784..3082].fill(0);
    let path = folder.path().join("x.parquet");
    let capture = capture(&format!("path = '{}'", path.display()));
    write(&path, &bytes);
    SourceConfig::ready(&capture, &HostEnv::default()).unwrap();
    let (output, result) = run(&capture, None, None);
    result.unwrap();
    assert_eq!(output.rows, [&whole[..20], &["home 20 rows_unreadable".to_owned()], &whole[40..]].concat());
    fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let error = SourceConfig::ready(&capture, &HostEnv::default()).unwrap_err().to_string();
    assert!(error.contains("x.parquet`: the Parquet file is cut off"), "{error}");
}

#[test]
fn a_position_of_another_version_is_refused() {
    let capture = capture("path = 'x.jsonl'");
    let (saved, site) = (StateTable::default(), HostEnv::default());
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
    SourceConfig::ready(&capture, &HostEnv::default()).unwrap();
    let (whole, result) = run(&capture, None, None);
    result.unwrap();
    let actual: Vec<String> =
        whole.rows.iter().map(|row| row.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        actual,
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
    assert_eq!(whole.metrics["silent_files"], 1);
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
    let (output, result) = run(&capture(&format!("path = '{}'", path.display())), None, None);
    result.unwrap();
    let seqs = output.rows.iter().map(|row| row.split(' ').nth(1).unwrap().parse::<u64>().unwrap());
    assert_eq!(seqs.collect::<UInt64Array>(), (0..1000).collect::<UInt64Array>());
    // The first row alone, then 256 at a time.
    assert_eq!(output.positions.len(), 5);
}
