//! Attempts of a stage over several epochs, with rows for each of its inputs; in one go, and restarted after each epoch.

use headwater_contract::testing::StageOutput;
use headwater_contract::units::{Epoch, Round};
use headwater_contract::{PlannedStage, Port};

use super::*;

/// The adapters in the output of an attempt.
pub(super) trait Adapters {
    /// Round and bits of each adapter that was published.
    fn adapters(&self) -> Vec<(u64, Vec<u32>)>;

    /// The adapter that was published last.
    fn last(&self) -> Vec<u32> {
        self.adapters().pop().unwrap().1
    }
}

impl Adapters for StageOutput {
    fn adapters(&self) -> Vec<(u64, Vec<u32>)> {
        let bits = |(round, adapter): (u64, Vec<f32>)| (round, adapter.iter().map(|v| v.to_bits()).collect());
        self.of_port(1).iter().flat_map(adapters_of).map(bits).collect()
    }
}

/// The rows of one epoch, by input. Each epoch is a round.
pub(super) type Rows = Vec<(Port, RecordBatch)>;

/// Runs with and without restarts, which must give the same; with the rows of `out` by epoch.
pub(super) fn live(config: &Aggregate, epochs: &[Rows]) -> (StageOutput, Vec<Vec<RecordBatch>>) {
    let (output, sums) = one_attempt(config, epochs, false);
    let (restarted, _) = one_attempt(config, epochs, true);
    assert_eq!(output, restarted, "a restart changes what comes");
    for batch in output.batches.values().flatten() {
        assert_eq!(batch.num_rows(), 1);
    }
    for (port, batches) in &output.batches {
        let ids = |batch: &RecordBatch| identity::row_id(batch, 0).unwrap();
        let unique: std::collections::BTreeSet<_> = batches.iter().map(ids).collect();
        assert_eq!(unique.len(), batches.len(), "an identity comes twice at output {port}");
    }
    (output, sums)
}

fn one_attempt(config: &Aggregate, epochs: &[Rows], restart: bool) -> (StageOutput, Vec<Vec<RecordBatch>>) {
    assert!(StageConfig::validate(config).is_empty(), "{:?}", StageConfig::validate(config));
    let signature = StageConfig::signature(config);
    let first = epochs.iter().flatten().find(|(port, _)| *port == 0).unwrap().1.schema();
    let schema = |(port, input): (usize, &Input)| if port == 0 { first.clone() } else { input.needed() };
    let inputs: Vec<SchemaRef> = signature.inputs.iter().enumerate().map(schema).collect();
    let outputs = signature.apply(&inputs).unwrap();
    let mut saved = StateTable::default();
    let site = HostEnv::default();
    let build = |saved: &StateTable| {
        let cx = BuildContext {
            id: "checked",
            inputs: &inputs,
            outputs: &outputs,
            saved,
            host: &site,
            round_delay: 0,
            live: false,
        };
        PlannedStage::build(config, cx).unwrap()
    };
    let (mut output, mut sums) = (StageOutput::default(), Vec::new());
    let mut stage = build(&saved);
    for (number, rows) in (0..).zip(epochs) {
        let before = output.of_port(0).len();
        for (port, batch) in rows {
            let batch = identity::sorted(&batch.schema(), std::slice::from_ref(batch)).unwrap();
            stage.batch(*port, &batch, &mut Outbox::new(&mut output)).unwrap();
        }
        let barrier = Barrier {
            epoch: Epoch(number),
            round: Round(number),
            watermark: None,
            checkpoint: true,
            round_end: true,
            end_of_input: false,
        };
        stage.epoch_end(&barrier, &mut Outbox::new(&mut output)).unwrap();
        sums.push(output.of_port(0)[before..].to_vec());
        let mut writer = StateWriter::default();
        stage.save(&mut writer).unwrap();
        saved.apply(writer.into_changes());
        if restart {
            stage = build(&saved);
        }
    }
    (output, sums)
}
