//! The store: rows become durable in encrypted Parquet segments, each row once.
//!
//! In: rows of any columns. Out, if somebody reads it: the identity of every row, once it is durable. At the end of an
//! epoch all its rows are durable; running the same input again stores nothing twice, and what is older than is to be
//! kept goes. It must not know where its rows come from, nor how bytes are encrypted: that is the vault's.

use std::path::PathBuf;

use headwater_contract::Site;
use headwater_contract::identity;
use headwater_contract::prelude::*;
use headwater_contract::units::Bytes;
use headwater_vault::{Keep, KeyFile, Level, StoreOptions};

options! {
    /// Keeps rows in encrypted Parquet segments, each row once: durable at the end of its epoch.
    pub struct Store {
        /// The folder; made if need be.
        path: PathBuf;
        /// Rows, over all devices, that are collected in the encrypted log before they become segments.
        seal_rows: usize = 65536, in 1 ..= 1048576, unit "rows";
        /// How hard the segments are compressed: 1 is fast, 22 is small.
        level: i32 = 3, in 1 ..= 22;
        /// Days that rows are kept, measured from the newest row stored: older segments are let go, each whole. No clock
        /// is asked. All are kept if it is left out.
        keep_days: Option<u32>, in 1 ..= 36500, unit "days";
        /// Bytes of segments that are kept: the oldest are let go. All are kept if it is left out.
        keep_bytes: Option<Bytes>;
        /// The file of the root key, if it is another one than the site's.
        key_file: Option<PathBuf>;
    }
}

/// The kind of this stage.
pub const KIND: Kind = Kind::stage::<Store>();

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

    fn ready(&self, site: &Site) -> Result {
        let key = self.key(site);
        let had_key = key.path().exists();
        // Opened once to look: a wrong key or a damaged store is told before anything runs.
        self.open(site)?;
        if !had_key {
            tracing::warn!(
                "made a root key at {}: without it the store cannot be read; keep a copy (headwater key backup)",
                key.path().display()
            );
        }
        Ok(())
    }

    fn fills(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let store = self.open(cx.site)?;
        for torn in store.torn() {
            tracing::warn!(
                "{}: {} bytes at its end were never completely written and are left out; no acknowledged row was in them",
                torn.path.display(),
                torn.bytes
            );
        }
        let keep = Keep { days: self.keep_days, bytes: self.keep_bytes.map(|Bytes(most)| most) };
        Ok(Keeper { store, keep, segments: 0, schema: cx.output(0)?, arrived: Vec::new() })
    }
}

impl Store {
    fn key(&self, site: &Site) -> KeyFile {
        KeyFile::at(self.key_file.as_ref().unwrap_or(&site.key_file))
    }

    fn open(&self, site: &Site) -> Result<headwater_vault::Store> {
        let options =
            StoreOptions { seal_rows: self.seal_rows, level: Level::new(self.level).unwrap_or_default() };
        headwater_vault::Store::open(&self.path, &self.key(site), options).map_err(of_vault)
    }
}

fn of_vault(error: headwater_vault::Error) -> StageError {
    let full = error.is_no_room();
    let told = StageError::new(error.to_string());
    if full { told.help("nothing is lost; once there is room, it goes on").for_want_of_room() } else { told }
}

struct Keeper {
    store: headwater_vault::Store,
    keep: Keep,
    /// Segments when it was last looked whether some are to go.
    segments: usize,
    schema: SchemaRef,
    /// The identities of this epoch's rows, told when they are durable.
    arrived: Vec<RecordBatch>,
}

impl Stage for Keeper {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let appended = self.store.append(batch).map_err(of_vault)?;
        out.count("new_rows", appended.new);
        out.count("stored_before", appended.already_stored);
        self.arrived.push(identity_of(batch, &self.schema)?);
        Ok(())
    }

    fn epoch_end(&mut self, mark: &Mark, out: &mut Outbox<'_>) -> Result {
        if mark.end_of_input {
            self.store.seal().map_err(of_vault)?;
        } else {
            self.store.commit().map_err(of_vault)?;
        }
        self.let_go(out)?;
        for rows in self.arrived.drain(..) {
            out.send(rows);
        }
        Ok(())
    }
}

impl Keeper {
    /// Lets segments go that are older or more than are to be kept, whenever there are new ones.
    fn let_go(&mut self, out: &mut Outbox<'_>) -> Result {
        if self.keep == Keep::default() || self.segments == self.store.segment_count() {
            return Ok(());
        }
        let gone = self.store.retain(self.keep).map_err(of_vault)?;
        out.count("let_go", gone.rows);
        self.segments = self.store.segment_count();
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
            let reader = StoreReader::open(&config.path, &config.key(&Site::default())).unwrap();
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
            assert_eq!(outcome.figures["new_rows"], 4, "{more}");
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
        assert_eq!((again.figures["new_rows"], again.figures["stored_before"]), (0, 4));
    }

    #[test]
    fn more_than_is_to_be_kept_is_let_go() {
        let fixture = Fixture::new();
        // Of segments of one row each, the last one is always kept where a byte is too much: it goes at the next.
        let outcome =
            assert_stage(&fixture.config("seal_rows = 1\nkeep_bytes = '1B'"), &[text_rows(ROWS).unwrap()]);
        assert_eq!((outcome.figures["new_rows"], outcome.figures["let_go"]), (4, 4));
        assert!(fixture.stored().is_empty());
        let fixture = Fixture::new();
        assert_stage(&fixture.config("keep_days = 1\nkeep_bytes = '1GiB'"), &[text_rows(ROWS).unwrap()]);
        assert_eq!(names(&fixture.stored()).len(), 4);
    }

    #[test]
    fn another_key_is_told_before_anything_runs() {
        let fixture = Fixture::new();
        assert_stage(&fixture.config(""), &[text_rows(ROWS).unwrap()]);
        let key = fixture.0.path().join("root.key");
        let told = || fixture.config("").ready(&Site::default()).unwrap_err().to_string();
        std::fs::remove_file(&key).unwrap();
        assert!(told().contains("there is no root key at"), "{}", told());
        assert!(!key.exists(), "a new key would not open the store");
        KeyFile::at(&key).read_or_create().unwrap();
        assert!(told().contains("was made with root key"), "{}", told());
    }

    #[test]
    fn options_and_ports() {
        assert!(matches!(KIND.sample(), Some(Role::Stage(_))));
        let check = |options: &str, expected: &str| {
            let wrongs = KIND.plan(&options.parse().unwrap()).err().unwrap();
            assert!(
                wrongs.iter().any(|w| format!("{} {}", w.option, w.what).contains(expected)),
                "{wrongs:?}"
            );
        };
        check("", "path");
        check("path = 'x'\nseal_rows = 0", "seal_rows");
        check("path = 'x'\nlevel = 23", "level");
        check("path = 'x'\nkeep_days = 0", "keep_days");
        check("path = 'x'\nkeep_bytes = 'much'", "keep_bytes");
    }
}
