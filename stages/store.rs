//! The store: rows become durable in encrypted Parquet segments, each row once.
//!
//! In: rows of any columns. Out, if a stage reads it: the identity of every row, once it is durable. At the end of an
//! epoch all its rows are durable; running the same input again stores nothing twice, and what is older than is to be
//! kept goes once it was learned from (`rounds`). It must not know where its rows come from, nor how bytes are encrypted: that is
//! the vault's.

pub mod retention;
mod rounds;
mod sealing;

use std::path::PathBuf;
use std::time::Duration;

use headwater_contract::identity;
use headwater_contract::prelude::*;
use headwater_contract::units::Bytes;
use headwater_contract::{HostEnv, quoted};
use headwater_vault::{Keep, KeyFile, Level, StoreOptions};

pub use retention::Retention;
use rounds::Rounds;
use sealing::{Sealer, SharedStore};

use crate::vault_error::of_vault;

options! {
    /// Keeps rows in encrypted Parquet segments, each row once: durable at the end of its epoch.
    pub struct Store {
        /// The folder; made if need be.
        path: PathBuf;
        /// Rows, over all devices, that are collected in the encrypted log before they become segments.
        seal_rows: usize = 65536, in 1 ..= 1048576, unit "rows";
        /// Live input: how long a row waits in the encrypted log at most, where other programs do not see it, before it is in a segment.
        /// What rows there are does not hang on it.
        seal_every: Duration = SEAL_EVERY;
        /// How hard the segments are compressed: 1 is fast, 22 is small.
        level: i32 = 3, in 1 ..= 22;
        /// How long and how much: rows older than `days`, measured from the newest row stored, and the oldest beyond `bytes` of segments
        /// are let go, by whole segments. No clock is asked, and rows of rounds that the pipeline has not learned from yet stay. All are
        /// kept by default.
        keep: Option<Retention>;
        /// The file of the root key, if it is another one than the site's.
        key_file: Option<PathBuf>;
    }
}

/// Long enough that few segments come of it, short enough that other programs see today's rows.
const SEAL_EVERY: Duration = Duration::from_mins(5);

/// The kind of this stage.
pub const KIND: StageFactory = StageFactory::stage::<Store>();

impl StageConfig for Store {
    const KIND: &'static str = "store";

    fn signature(&self) -> Signature {
        let stored = Output {
            name: "out".into(),
            rows: Rows::Exactly(Vec::new()),
            label: LabelRule::Inherit,
            required: false,
        };
        let mut signature =
            Signature::sink([]).routing(Routing::Gather).order(Order::Sorted).state(1, &["path"]);
        signature.outputs.push(stored);
        signature
    }

    fn validate(&self) -> Vec<ConfigError> {
        if self.seal_every.is_zero() {
            return vec![
                ConfigError::new("seal_every", "expected a time above 0")
                    .help("rows of every epoch at once: seal_rows = 1"),
            ];
        }
        Vec::new()
    }

    fn ready(&self, site: &HostEnv) -> Result {
        let key = self.key(site);
        let had_key = key.path().exists();
        // Opened once as a check: a wrong key or a damaged store is reported before anything runs.
        self.open(site)?;
        if !had_key {
            tracing::warn!(
                "made a root key at {}: without it the store cannot be read; keep a copy: headwater key backup FILE --key-file {}",
                key.path().display(),
                quoted(&key.path().to_string_lossy())
            );
        }
        Ok(())
    }

    fn fills(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let store = self.open(cx.host)?;
        for torn in store.torn() {
            tracing::warn!(
                "{}: {} bytes at its end were never completely written and are skipped; no acknowledged row was in them",
                torn.path.display(),
                torn.bytes
            );
        }
        for damage in store.damaged() {
            tracing::warn!(
                "{damage}; the run continues without its rows, and stores those again that arrive again; `{}` moves it aside",
                self.repair(cx.host)
            );
        }
        let keep = self.keep.map_or_else(Keep::default, |keep| Keep {
            days: keep.days,
            bytes: keep.bytes.map(|Bytes(most)| most),
            from: None,
        });
        let rounds = Rounds::read(if keep == Keep::default() { 0 } else { cx.round_delay }, cx.saved)?;
        let store = SharedStore::new(store);
        // Recorded input is sealed by its rows alone: what is let go of it by whole segments hangs on no clock.
        let sealer = if cx.live { Some(Sealer::start(store.clone(), self.seal_every)?) } else { None };
        Ok(StoreStage {
            store,
            sealer,
            keep,
            rounds,
            looked: None,
            schema: cx.output(0)?,
            arrived: Vec::new(),
        })
    }
}

impl Store {
    /// The command that moves aside what is damaged.
    fn repair(&self, site: &HostEnv) -> String {
        let (path, key) = (self.path.to_string_lossy(), self.key(site));
        format!(
            "headwater store repair {} --key-file {}",
            quoted(&path),
            quoted(&key.path().to_string_lossy())
        )
    }

    fn key(&self, site: &HostEnv) -> KeyFile {
        KeyFile::at(self.key_file.as_ref().unwrap_or(&site.key_file))
    }

    fn open(&self, site: &HostEnv) -> Result<headwater_vault::Store> {
        let options =
            StoreOptions { seal_rows: self.seal_rows, level: Level::new(self.level).unwrap_or_default() };
        headwater_vault::Store::open(&self.path, &self.key(site), options).map_err(|error| {
            let damaged = matches!(error, headwater_vault::Error::Damaged { .. });
            let error = of_vault(error);
            if damaged {
                error.help(format!("`{}` keeps what is whole of it", self.repair(site)))
            } else {
                error
            }
        })
    }
}

struct StoreStage {
    store: SharedStore,
    sealer: Option<Sealer>,
    keep: Keep,
    rounds: Rounds,
    /// The state at the last check of retention: the number of the next one, and the first that had to stay.
    looked: Option<(u64, Option<u64>)>,
    schema: SchemaRef,
    /// The identities of this epoch's rows, sent when they are durable.
    arrived: Vec<RecordBatch>,
}

impl Stage for StoreStage {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let appended = self.store.open()?.append(batch).map_err(of_vault)?;
        out.count("new_rows", appended.new);
        out.count("stored_before", appended.already_stored);
        self.arrived.push(identity_of(batch, &self.schema)?);
        Ok(())
    }

    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        if barrier.end_of_input {
            self.store.open()?.seal().map_err(of_vault)?;
        } else {
            self.store.open()?.commit().map_err(of_vault)?;
        }
        self.rounds.ended(barrier);
        self.let_go(out)?;
        for rows in self.arrived.drain(..) {
            out.send(rows);
        }
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        self.rounds.save(self.store.open()?.next_segment(), state)
    }
}

/// At a clean stop all rows are sealed, so that other programs see them while the pipeline is at rest.
impl Drop for StoreStage {
    fn drop(&mut self) {
        drop(self.sealer.take());
        if !std::thread::panicking() {
            self.store.seal();
        }
    }
}

impl StoreStage {
    /// Lets segments go that are older or more than are to be kept, whenever there are new ones, or more were learned from.
    fn let_go(&mut self, out: &mut Outbox<'_>) -> Result {
        let from = self.rounds.unlearned();
        let mut store = self.store.open()?;
        if self.keep == Keep::default() || self.looked == Some((store.next_segment(), from)) {
            return Ok(());
        }
        let gone = store.retain(Keep { from, ..self.keep }).map_err(of_vault)?;
        out.count("let_go", gone.rows);
        self.looked = Some((store.next_segment(), from));
        Ok(())
    }
}

/// The identity columns of a batch, as the output has them.
fn identity_of(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let given = batch.schema();
    let positions = identity::fields()
        .iter()
        .map(|field| given.index_of(field.name()))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), batch.project(&positions)?.columns().to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::{Outcome, assert_stage, text_rows};
    use headwater_contract::identity::IdentityColumns;
    use headwater_contract::{Label, Role};
    use headwater_vault::StoreReader;

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn new() -> Fixture {
            Fixture(tempfile::tempdir().unwrap())
        }

        fn config(&self, more: &str) -> Store {
            let (path, key) = (self.0.path().join("vault"), self.0.path().join("root.key"));
            let text = format!("path = '{}'\nkey_file = '{}'\n{more}", path.display(), key.display());
            Store::from_table(&text.parse().unwrap()).unwrap()
        }

        fn stored(&self) -> Vec<RecordBatch> {
            let config = self.config("");
            let reader = StoreReader::open(&config.path, &config.key(&HostEnv::default())).unwrap();
            reader.rows().map(std::result::Result::unwrap).collect()
        }
    }

    const ROWS: &[(&str, &str)] = &[
        ("kitchen", "the kettle is on"),
        ("hall", "who is there"),
        ("kitchen", "call <PHONE>"),
        ("kitchen", "tea is ready"),
    ];

    fn names(batches: &[RecordBatch]) -> Vec<String> {
        let name = |batch: &RecordBatch| {
            let ids = IdentityColumns::of(batch).unwrap();
            (0..ids.len()).map(|row| ids.id(row).to_string()).collect::<Vec<_>>()
        };
        batches.iter().flat_map(name).collect()
    }

    #[test]
    fn rows_are_stored_once_and_told_when_durable() {
        for more in ["", "seal_rows = 1", "seal_rows = 3\nlevel = 19"] {
            let fixture = Fixture::new();
            let rows = text_rows(ROWS).unwrap();
            let outcome: Outcome = assert_stage(&fixture.config(more), std::slice::from_ref(&rows));
            assert_eq!(outcome.outputs[0].num_rows(), ROWS.len(), "{more}");
            assert_eq!(outcome.labels, [Label::Raw], "it lowers no label");
            assert_eq!(outcome.metrics["new_rows"], 4, "{more}");
            let stored = fixture.stored();
            let mut found = names(&stored);
            found.sort();
            let mut expected = names(&[rows]);
            expected.sort();
            assert_eq!(found, expected, "{more}: the kit ran the rows many times, they are stored once");
        }
    }

    #[test]
    fn a_second_run_stores_nothing() {
        let fixture = Fixture::new();
        let rows = [text_rows(ROWS).unwrap()];
        assert_stage(&fixture.config(""), &rows);
        let again = assert_stage(&fixture.config(""), &rows);
        assert_eq!((again.metrics["new_rows"], again.metrics["stored_before"]), (0, 4));
    }

    #[test]
    fn more_than_is_to_be_kept_is_let_go() {
        let fixture = Fixture::new();
        // Of segments of one row each, the last one is always kept where a byte is too much: it goes at the next.
        let outcome = assert_stage(
            &fixture.config("seal_rows = 1\nkeep = { bytes = '1B' }"),
            &[text_rows(ROWS).unwrap()],
        );
        assert_eq!((outcome.metrics["new_rows"], outcome.metrics["let_go"]), (4, 4));
        assert!(fixture.stored().is_empty());
        let fixture = Fixture::new();
        assert_stage(&fixture.config("keep = { days = 1, bytes = '1GiB' }"), &[text_rows(ROWS).unwrap()]);
        assert_eq!(names(&fixture.stored()).len(), 4);
    }

    #[test]
    fn what_is_not_learned_from_is_kept() {
        let fixture = Fixture::new();
        let config = fixture.config("seal_rows = 1\nkeep = { bytes = '1B' }");
        let rows = text_rows(ROWS).unwrap();
        let (schema, site) = ([rows.schema()], HostEnv::default());
        let outputs = StageConfig::signature(&config).apply(&schema).unwrap();
        let mut saved = StateTable::default();
        let mut kept = Vec::new();
        // One row a round, and an attempt for each: a round is learned from when the next one is over.
        for (round, row) in (0u64..).zip(0..ROWS.len()) {
            let cx = BuildContext {
                id: "vault",
                inputs: &schema,
                outputs: &outputs,
                saved: &saved,
                host: &site,
                round_delay: 1,
                live: false,
            };
            let mut stage = headwater_contract::PlannedStage::build(&config, cx).unwrap();
            let barrier = Barrier {
                epoch: headwater_contract::units::Epoch(round),
                round: headwater_contract::units::Round(round),
                watermark: None,
                checkpoint: true,
                round_end: true,
                end_of_input: false,
            };
            let mut output = headwater_contract::testing::StageOutput::default();
            let mut out = Outbox::new(&mut output);
            stage.batch(0, &rows.slice(row, 1), &mut out).unwrap();
            stage.epoch_end(&barrier, &mut out).unwrap();
            let mut writer = StateWriter::default();
            stage.save(&mut writer).unwrap();
            saved.apply(writer.into_changes());
            drop(stage);
            kept.push(fixture.stored().iter().map(RecordBatch::num_rows).sum::<usize>());
        }
        assert_eq!(kept, [1, 2, 2, 2]);
    }

    #[test]
    fn another_key_is_told_before_anything_runs() {
        let fixture = Fixture::new();
        assert_stage(&fixture.config(""), &[text_rows(ROWS).unwrap()]);
        let key = fixture.0.path().join("root.key");
        let error = || fixture.config("").ready(&HostEnv::default()).unwrap_err().to_string();
        std::fs::remove_file(&key).unwrap();
        assert!(error().contains("there is no root key at"), "{}", error());
        assert!(!key.exists(), "a new key would not open the store");
        KeyFile::at(&key).read_or_create().unwrap();
        assert!(error().contains("was made with root key"), "{}", error());
    }

    #[test]
    fn options_and_ports() {
        assert!(matches!(KIND.sample(), Some(Role::Stage(_))));
        let check = |options: &str, expected: &str| {
            let errors = KIND.plan(&options.parse().unwrap()).err().unwrap();
            assert!(
                errors.iter().any(|w| format!("{} {}", w.option, w.what).contains(expected)),
                "{errors:?}"
            );
        };
        check("", "path");
        check("path = 'x'\nseal_rows = 0", "seal_rows");
        check("path = 'x'\nlevel = 23", "level");
        let never = KIND.plan(&"path = 'x'\nseal_every = '0s'".parse().unwrap()).unwrap();
        assert_eq!(never.validate()[0].option, "seal_every");
        check("path = 'x'\nkeep = { days = 0 }", "keep");
    }
}
