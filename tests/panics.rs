//! A stage with a state that panics at one row, in a program of its own: the run goes on by itself, sets the row aside and stores all
//! others. This test is that program, too: it starts itself, as the engine does when it goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Output};

use arrow::array::UInt64Array;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use site::Site as Home;

/// Says that the program is meant, and not its tests.
const PROGRAM: &str = "HEADWATER_TEST_PROGRAM";
const SECRET: &str = "555-0199";
const ROWS: usize = 400;

options! {
    /// Lets rows pass, counts them by device, and panics at those that hold a word.
    pub struct Brittle {
        /// The word.
        word: String;
        /// Whether the whole program dies of it.
        deadly: bool = false;
    }
}

impl StageConfig for Brittle {
    const KIND: &'static str = "brittle";
    fn signature(&self) -> Signature {
        Signature::map([utf8("text")], []).routing(Routing::ByKey("device".into())).state(1, &[])
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let count = |(key, row): (&[u8], &RecordBatch)| {
            let counted = row.column(0).as_any().downcast_ref::<UInt64Array>().unwrap().value(0);
            (String::from_utf8_lossy(key).into_owned(), counted)
        };
        let deadly = self.deadly;
        Ok(Counting { word: self.word.clone(), deadly, counts: cx.saved.iter().map(count).collect() })
    }
}

struct Counting {
    word: String,
    deadly: bool,
    counts: BTreeMap<String, u64>,
}

impl Stage for Counting {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let ids = IdentityColumns::of(batch)?;
        for (row, text) in text_column(batch, "text")?.iter().enumerate() {
            *self.counts.entry(ids.device(row).to_owned()).or_default() += 1;
            let text = text.unwrap_or_default();
            if self.deadly && text.contains(&self.word) {
                std::process::abort();
            }
            assert!(!text.contains(&self.word), "what a panic says may quote a row: {text}");
        }
        out.send(batch.clone());
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for (device, count) in &self.counts {
            let count: ArrayRef = Arc::new(UInt64Array::from(vec![*count]));
            let row = RecordBatch::try_from_iter([("count", count)])?;
            state.put(Owner::device(device), device.as_bytes(), row)?;
        }
        Ok(())
    }
}

struct Place(Home);

impl Place {
    fn headwater(&self, verb: &[&str]) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let asked = self.0.command(verb);
        command.env(PROGRAM, "1").args(asked.get_args()).stdin(std::process::Stdio::null());
        for (name, value) in asked.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.output().unwrap()
    }

    /// A pipeline over rows of which these are bad.
    fn pipeline(bad: &[usize]) -> (Self, String) {
        let place = Place(Home::new());
        let line = |n: usize| {
            let what = if bad.contains(&n) { format!("break, call {SECRET}") } else { format!("order {n}") };
            let at = format!("2026-03-02T08:{:02}:{:02}Z", n / 60, n % 60);
            format!("{{\"device\": \"device-{}\", \"captured_at\": \"{at}\", \"text\": \"{what}\"}}\n", n % 7)
        };
        std::fs::write(place.0.path("talk.jsonl"), (0..ROWS).map(line).collect::<String>()).unwrap();
        let text = format!(
            "[pipeline]\nname = 'brittle'\nepoch = {{ rows = 20 }}\ncommit = {{ epochs = 1 }}\n
             [stage.talk]\ntype = 'capture'\npath = '{}'\n
             [stage.brittle]\ntype = 'brittle'\nfrom = 'talk'\nword = 'break'\n
             [stage.vault]\ntype = 'store'\nfrom = 'brittle'\npath = '{}'\n",
            place.0.path("talk.jsonl").display(),
            place.0.path("vault").display()
        );
        std::fs::write(place.0.path("brittle.toml"), text).unwrap();
        let file = place.0.path("brittle.toml").display().to_string();
        (place, file)
    }
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn the_row_is_set_aside_and_the_rest_is_stored(topology: &[&str]) {
    let (place, file) = Place::pipeline(&[133]);
    let ended = place.headwater(&[&["run", file.as_str(), "--quiet"], topology].concat());
    let log = printed(&ended);
    assert!(ended.status.success(), "{topology:?}: {log}");
    assert!(log.contains("the run goes on after its last commit"), "{log}");
    assert!(!log.contains(SECRET), "a row was quoted");
    let vault = place.0.path("vault").display().to_string();
    let stored = printed(&place.headwater(&["store", "ls", &vault]));
    assert!(stored.contains(&format!("{} rows of 7 devices", ROWS - 1)), "{stored}");
    let aside = printed(&place.headwater(&["quarantine", "show", "brittle"]));
    assert!(aside.contains("panic") && aside.contains("device-0"), "{aside}");
    assert!(!aside.contains(SECRET), "{aside}");
    let again = place.headwater(&["run", &file]);
    assert!(again.status.success() && printed(&again).contains("nothing is new"), "{}", printed(&again));
}

/// Where no restart is allowed the run ends, as it does when rows break it faster than they are found.
fn restarts_have_an_end() {
    let (place, file) = Place::pipeline(&[3, 20, 45, 70]);
    let check = |restarts: &str, expected: &str| {
        let ended = place.headwater(&["run", &file, "--quiet", "--restarts", restarts]);
        let log = printed(&ended);
        assert!(ended.status.code() == Some(3) && log.contains(expected), "{:?} {log}", ended.status);
    };
    check("0", "not restarted: the limit of 0 restarts is reached");
    check("2", "it keeps crashing, the limit of 2 restarts is reached");
    // What was found so far is known: the rest is found from there.
    let ended = place.headwater(&["run", &file, "--quiet", "--restarts", "20"]);
    assert!(ended.status.success(), "{}", printed(&ended));
    let vault = place.0.path("vault").display().to_string();
    let stored = printed(&place.headwater(&["store", "ls", &vault]));
    assert!(stored.contains(&format!("{} rows of 7 devices", ROWS - 4)), "{stored}");
}

/// A quarantined row stays quarantined until it has passed, also when the program dies of it; then it is stored with the others.
fn what_is_tried_again_is_never_lost() {
    let (place, file) = Place::pipeline(&[133, 140]);
    assert!(place.headwater(&["run", &file, "--quiet"]).status.success());
    let listed = || printed(&place.headwater(&["quarantine", "ls", "brittle"]));
    let retry = |set: &str| {
        place.headwater(&["quarantine", "retry", "--stage", "brittle", &file, "--quiet", "--set", set])
    };
    assert!(listed().contains("2  brittle  panic"), "{}", listed());
    let died = retry("stage.brittle.deadly=true");
    assert!(!died.status.success(), "{}", printed(&died));
    assert!(listed().contains("2  brittle  panic"), "{}", listed());
    let refused = place.headwater(&["quarantine", "retry", "--stage", "brittle", &file, "--fresh"]);
    assert!(printed(&refused).contains("without --fresh"), "{}", printed(&refused));
    let passed = retry("stage.brittle.word=nothing");
    assert!(passed.status.success(), "{}", printed(&passed));
    assert!(listed().contains("nothing is in the quarantine"), "{}", listed());
    let vault = place.0.path("vault").display().to_string();
    let stored = printed(&place.headwater(&["store", "ls", &vault]));
    assert!(stored.contains(&format!("{ROWS} rows of 7 devices")), "{stored}");
}

fn main() -> ExitCode {
    if std::env::var_os(PROGRAM).is_some() {
        return headwater::main_with(&[StageFactory::stage::<Brittle>()]);
    }
    for topology in [&["--workers", "2"], &["--processes", "2"]] {
        the_row_is_set_aside_and_the_rest_is_stored(topology);
        println!("test the_row_is_set_aside_and_the_rest_is_stored {topology:?} ... ok");
    }
    what_is_tried_again_is_never_lost();
    println!("test what_is_tried_again_is_never_lost ... ok");
    restarts_have_an_end();
    println!("test restarts_have_an_end ... ok");
    ExitCode::SUCCESS
}
