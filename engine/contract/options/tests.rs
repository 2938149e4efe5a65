//! The options macro on a kind of its own.

use super::*;

choice! {
    /// How loud.
    pub enum Volume {
        /// Quietly.
        Low = "low",
        /// Loudly.
        High = "high",
    }
}

options! {
    /// A kind for the tests.
    pub struct Sample {
        /// A folder.
        folder: PathBuf;
        /// How many.
        count: u32 = 3, in 1 ..= 64, unit "threads";
        /// How warm.
        temperature: f32 = 0.5, in 0.0 ..= 1.0;
        /// A word, if any.
        word: Option<String>;
        /// How loud.
        volume: Volume = Volume::Low;
        /// How long.
        wait: Duration = Duration::from_secs(10);
        /// Which.
        names: Vec<String> = vec!["a".into()];
    }
}

fn read(text: &str) -> Result<Sample, Vec<ConfigError>> {
    Sample::from_table(&text.parse().unwrap())
}

#[test]
fn defaults_fill_in() {
    let sample = read("folder = 'x'").unwrap();
    assert_eq!((sample.count, sample.volume, sample.word), (3, Volume::Low, None));
    assert_eq!((sample.folder.to_str(), sample.temperature), (Some("x"), 0.5));
    assert_eq!(sample.wait, Duration::from_secs(10));
    assert_eq!(sample.names, ["a"]);
}

#[test]
fn all_mistakes_at_once() {
    let check = |text: &str, expected: &[(&str, &str)]| {
        let errors = read(text).unwrap_err();
        let messages: Vec<_> = errors.iter().map(|w| (w.option.as_str(), w.what.as_str())).collect();
        assert_eq!(messages, expected, "{text}");
    };
    check("", &[("folder", "missing; expected a path, as a string")]);
    check(
        "folder = 1\ncount = 'x'",
        &[("folder", "expected a path, as a string"), ("count", "expected a whole number")],
    );
    check("folder = ''\ncount = 65", &[("count", "expected 1 to 64 threads")]);
    check(
        "folder = ''\ncount = -1\nvolume = 'mid'",
        &[("count", "expected 1 to 64 threads"), ("volume", "expected \"low\" | \"high\"")],
    );
    check("folder = ''\ncuont = 3", &[("cuont", "no such option")]);
    check("folder = ''\nwait = 10", &[("wait", "expected a time such as \"10s\"")]);
    check("folder = ''\nnames = [1]", &[("names", "expected a string")]);
}

#[test]
fn specs_describe() {
    let specs = Sample::specs();
    let lines: Vec<String> = specs
        .iter()
        .map(|s| format!("{} {:?} {:?} {} {:?}", s.name, s.default, s.range, s.required, s.unit))
        .collect();
    assert_eq!(lines[0], "folder None None true None");
    assert_eq!(lines[1], "count Some(\"3\") Some((1.0, 64.0)) false Some(\"threads\")");
    assert_eq!(lines[3], "word None None false None");
    assert_eq!(lines[5], "wait Some(\"\\\"10s\\\"\") None false None");
    assert_eq!(Sample::about(), "A kind for the tests.");
}
