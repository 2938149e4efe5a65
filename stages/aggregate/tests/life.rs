//! Lives of a stage over several epochs, with rows for each of its inputs; in one go, and restarted after each epoch.

use std::collections::BTreeMap;

use headwater_contract::units::{Epoch, Round};
use headwater_contract::{Emit, PlannedStage, Port, Rejected};

use super::*;

/// What a life gave: of each output its rows, in the order in which they came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) outputs: BTreeMap<Port, Vec<RecordBatch>>,
    pub(super) codes: Vec<&'static str>,
    pub(super) figures: BTreeMap<&'static str, u64>,
}

impl Emit for Told {
    fn emit(&mut self, port: Port, batch: RecordBatch) {
        self.outputs.entry(port).or_default().push(batch);
    }
    fn reject(&mut self, rejected: Rejected) {
        self.codes.push(rejected.code);
    }
    fn count(&mut self, figure: &'static str, n: u64) {
        *self.figures.entry(figure).or_default() += n;
    }
}

impl Told {
    /// All rows of an output.
    pub(super) fn rows(&self, port: Port) -> Vec<RecordBatch> {
        self.outputs.get(&port).cloned().unwrap_or_default()
    }

    /// Round and bits of each adapter that was published.
    pub(super) fn adapters(&self) -> Vec<(u64, Vec<u32>)> {
        let bits = |(round, adapter): (u64, Vec<f32>)| (round, adapter.iter().map(|v| v.to_bits()).collect());
        self.rows(1).iter().flat_map(adapters_of).map(bits).collect()
    }

    /// The adapter that was published last.
    pub(super) fn last(&self) -> Vec<u32> {
        self.adapters().pop().unwrap().1
    }

    pub(super) fn figure(&self, name: &str) -> u64 {
        self.figures.get(name).copied().unwrap_or_default()
    }
}

/// The rows of one epoch, by input. Each epoch is a round.
pub(super) type Rows = Vec<(Port, RecordBatch)>;

/// Lives with and without restarts, which must give the same; of each epoch what it sent to `out`.
pub(super) fn live(config: &Aggregate, epochs: &[Rows]) -> (Told, Vec<Vec<RecordBatch>>) {
    let (told, sums) = one_life(config, epochs, false);
    let (restarted, _) = one_life(config, epochs, true);
    assert_eq!(told, restarted, "a restart changes what comes");
    for batch in told.outputs.values().flatten() {
        assert_eq!(batch.num_rows(), 1);
    }
    for (port, batches) in &told.outputs {
        let ids = |batch: &RecordBatch| identity::row_id(batch, 0).unwrap();
        let unique: std::collections::BTreeSet<_> = batches.iter().map(ids).collect();
        assert_eq!(unique.len(), batches.len(), "an identity comes twice at output {port}");
    }
    (told, sums)
}

fn one_life(config: &Aggregate, epochs: &[Rows], restart: bool) -> (Told, Vec<Vec<RecordBatch>>) {
    assert!(StageConfig::wrongs(config).is_empty(), "{:?}", StageConfig::wrongs(config));
    let signature = StageConfig::signature(config);
    let first = epochs.iter().flatten().find(|(port, _)| *port == 0).unwrap().1.schema();
    let schema = |(port, input): (usize, &Input)| if port == 0 { first.clone() } else { input.needed() };
    let inputs: Vec<SchemaRef> = signature.inputs.iter().enumerate().map(schema).collect();
    let outputs = signature.apply(&inputs).unwrap();
    let mut saved = StateTable::default();
    let site = Site::default();
    let build = |saved: &StateTable| {
        let cx = BuildContext {
            id: "checked",
            inputs: &inputs,
            outputs: &outputs,
            saved,
            site: &site,
            round_delay: 0,
        };
        PlannedStage::build(config, cx).unwrap()
    };
    let (mut told, mut sums) = (Told::default(), Vec::new());
    let mut stage = build(&saved);
    for (number, rows) in (0..).zip(epochs) {
        let before = told.rows(0).len();
        for (port, batch) in rows {
            let batch = identity::sorted(&batch.schema(), std::slice::from_ref(batch)).unwrap();
            stage.batch(*port, &batch, &mut Outbox::new(&mut told)).unwrap();
        }
        let mark = Mark {
            epoch: Epoch(number),
            round: Round(number),
            watermark: None,
            checkpoint: true,
            round_end: true,
            end_of_input: false,
        };
        stage.epoch_end(&mark, &mut Outbox::new(&mut told)).unwrap();
        sums.push(told.rows(0).split_off(before));
        let mut writer = StateWriter::default();
        stage.save(&mut writer).unwrap();
        saved.apply(writer.into_changes());
        if restart {
            stage = build(&saved);
        }
    }
    (told, sums)
}
