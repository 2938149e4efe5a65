//! The graph of a tagger in, logits out.
//!
//! In: an ONNX file; token ids of some texts, all padded to one length. Out: for each text a row of logits for each of its tokens. One
//! plan serves all lengths: its weights are in memory once. It must not know labels or texts.

use std::path::Path;
use std::sync::Arc;

use headwater_contract::{Result, StageError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike as _, TractErrorContext as _, ensure, format_err};

/// The meaning of an input of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModelInput {
    Ids,
    /// One for a token, zero for padding.
    Mask,
    /// The first of two texts: always.
    Types,
}

/// A compiled graph.
#[derive(Debug)]
pub(super) struct Plan {
    runnable: Arc<TypedRunnableModel>,
    inputs: Vec<ModelInput>,
    labels: usize,
}

impl Plan {
    pub(super) fn load(file: &Path, labels: usize) -> TractResult<Self> {
        let onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        let mut model = onnx.model_for_path(file)?;
        let (batch, length) = (model.symbols.sym("B").to_dim(), model.symbols.sym("L").to_dim());
        for assertion in ["B>=1", "L>=1"] {
            model.symbols.add_assertion(assertion)?;
        }
        let mut inputs = Vec::new();
        for at in 0..model.inputs.len() {
            let name =
                model.node(model.input_outlets()?.get(at).map_or(0, |outlet| outlet.node)).name.clone();
            inputs.push(match name.as_str() {
                "input_ids" => ModelInput::Ids,
                "attention_mask" => ModelInput::Mask,
                "token_type_ids" => ModelInput::Types,
                _ => return Err(format_err!("it has an input {name} that is not known here")),
            });
            model.set_input_fact(at, i64::fact([batch.clone(), length.clone()]).into())?;
        }
        ensure!(inputs.contains(&ModelInput::Ids), "it has no input input_ids");
        let logits = model.outputs.iter().position(|outlet| {
            model.outlet_label(*outlet) == Some("logits") || model.node(outlet.node).name == "logits"
        });
        let logits = logits.ok_or_else(|| format_err!("it has no output logits"))?;
        let outlet = model.outputs.get(logits).copied();
        model.outputs = outlet.into_iter().collect();
        model.set_output_fact(0, InferenceFact::default())?;
        model.analyse(false).context("its shapes do not fit together")?;
        let model = model.into_typed()?.into_decluttered()?;
        let width = model.output_fact(0)?.shape.iter().last().and_then(|width| width.to_usize().ok());
        ensure!(
            width == Some(labels),
            "it has {} labels, config.json names {labels}",
            width.map_or("unknown".into(), |width| width.to_string())
        );
        Ok(Plan { runnable: model.into_optimized()?.into_runnable()?, inputs, labels })
    }

    /// The logits of texts: for each one row after the other, padding left out. No text is longer than `length`.
    pub(super) fn run(&self, texts: &[Vec<i64>], length: usize, padding: i64) -> Result<Vec<Vec<f32>>> {
        let failed =
            |error: TractError| StageError::new(format!("the tagger could not be computed: {error}"));
        let input = |given: &ModelInput| -> TractResult<TValue> {
            let of = |text: &Vec<i64>| -> Vec<i64> {
                let (here, beyond) = match given {
                    ModelInput::Ids => (text.clone(), padding),
                    ModelInput::Mask => (vec![1; text.len()], 0),
                    ModelInput::Types => (vec![0; text.len()], 0),
                };
                here.into_iter().chain(std::iter::repeat(beyond)).take(length).collect()
            };
            let values: Vec<i64> = texts.iter().flat_map(of).collect();
            Ok(Tensor::from_shape(&[texts.len(), length], &values)?.into_tvalue())
        };
        let given = self.inputs.iter().map(input).collect::<TractResult<TVec<_>>>().map_err(failed)?;
        let made = self.runnable.run(given).map_err(failed)?;
        let logits = made.first().ok_or_else(|| StageError::new("the tagger gave nothing"))?;
        let logits = logits.cast_to::<f32>().map_err(failed)?;
        let plain = logits.try_as_plain_ram().map_err(failed)?;
        let rows = plain.as_slice::<f32>().map_err(failed)?.chunks(length * self.labels);
        Ok(texts
            .iter()
            .zip(rows)
            .map(|(text, row)| row.iter().copied().take(text.len() * self.labels).collect())
            .collect())
    }
}
