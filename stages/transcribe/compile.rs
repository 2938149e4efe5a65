//! ONNX files in; compiled plans with what their inputs and outputs are, out.
//!
//! Lengths are symbols: `T` encoder positions (2T frames), `E` positions that cross-attention sees, `P` tokens of the
//! past (it may be empty), `S` tokens of the step. Knows names and shapes of optimum's exports; runs nothing but a
//! trial.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike as _, TractErrorContext as _, ensure, format_err};
use tract_onnx::tract_core::ops::konst::Const;

use super::dequantise;
use super::folder::{Architecture, FRAMES_PER_POSITION};
use super::graph::{self, Branch, Weights};
use super::int8::Int8Matrix;
use super::ops;

/// The arithmetic of the decoder with weights stored in int8.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// In integers, as they are stored. Weights stored otherwise are not touched.
    #[default]
    Integer,
    /// In f32, widened at load: slower and larger, equal to other engines within 1e-4.
    Float,
}

/// A compiled plan.
pub type Runnable = Arc<TypedRunnableModel>;

/// Key or value of one layer's attention: 2 * layer for keys, 2 * layer + 1 for values.
pub type Slot = usize;

/// The role of one input of the step plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepInput {
    /// Token ids [1, S].
    Tokens,
    /// Their positions [S].
    Positions,
    /// States of the tokens before.
    Past(Slot),
    /// States of the audio.
    Cross(Slot),
}

/// The role of one output of the step plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutput {
    /// Logits, or hidden states where the head is out of the graph.
    States,
    /// States of the tokens so far.
    Past(Slot),
}

/// Spectrogram [1, mel bands, 2T] to states [1, T, width].
#[derive(Debug)]
pub struct EncoderPlan {
    pub plan: Runnable,
    /// The only T that it takes, where the file fixes it.
    pub fixed_positions: Option<usize>,
}

/// States [1, E, width] to keys and values.
#[derive(Debug)]
pub struct CrossPlan {
    pub plan: Runnable,
    pub outputs: Vec<Slot>,
}

/// Tokens, past and keys and values of the audio to rows and a longer past.
#[derive(Debug)]
pub struct StepPlan {
    pub plan: Runnable,
    pub inputs: Vec<StepInput>,
    pub outputs: Vec<StepOutput>,
    /// The vocabulary projection, where it was taken out of the graph.
    pub head: Option<Int8Matrix>,
}

/// A compiled graph with the names of its inputs and outputs, in order, and the last axis of its first output.
struct Compiled {
    plan: Runnable,
    inputs: Vec<String>,
    outputs: Vec<String>,
    width: Option<usize>,
}

/// Compiles the encoder of a file.
pub fn encoder(file: &Path, a: &Architecture) -> TractResult<EncoderPlan> {
    let mut proto = graph::read(file)?;
    let inner = graph::of(&mut proto)?;
    expect_input(inner, "input_features", 1, a.mel_bins)?;
    graph::keep_outputs(inner, |name| name == "last_hidden_state");
    let weights = weights_beside(file);
    dequantise::to_f32(inner, &weights)?;
    graph::slice_positions(inner, a.source_positions, a.width);
    let any = compile(&proto, &weights, |_, symbols| {
        let frames = symbols.sym("T").to_dim() * FRAMES_PER_POSITION;
        Ok(f32::fact([1.to_dim(), a.mel_bins.to_dim(), frames]))
    });
    // A graph that fixes its length elsewhere too still serves: every window is then padded to 30 s.
    let (compiled, fixed) = match any {
        Ok(compiled) if runs_short(&compiled, a) => (compiled, None),
        _ => {
            let frames = a.source_positions * FRAMES_PER_POSITION;
            let fact = |_: &str, _: &SymbolScope| Ok(f32::fact([1, a.mel_bins, frames]));
            (compile(&proto, &weights, fact)?, Some(a.source_positions))
        }
    };
    ensure!(compiled.outputs.len() == 1, "it has no output last_hidden_state");
    ensure!(
        compiled.width == Some(a.width),
        "its states are {} wide, d_model of config.json is {}",
        compiled.width.map_or("unknown".into(), |w| w.to_string()),
        a.width
    );
    Ok(EncoderPlan { plan: compiled.plan, fixed_positions: fixed })
}

fn runs_short(encoder: &Compiled, a: &Architecture) -> bool {
    let Ok(mel) = Tensor::zero::<f32>(&[1, a.mel_bins, 20 * FRAMES_PER_POSITION]) else { return false };
    let made = encoder.plan.run(tvec!(mel.into_tvalue()));
    made.is_ok_and(|out| out.first().is_some_and(|t| t.shape() == [1, 20, a.width]))
}

/// Compiles the projection of a file for cross-attention.
pub fn cross(file: &Path, a: &Architecture) -> TractResult<CrossPlan> {
    let mut proto = graph::read(file)?;
    let inner = graph::of(&mut proto)?;
    if is_merged(inner) {
        graph::take_branch(inner, Branch::First)?;
    }
    graph::keep_outputs(inner, |name| cross_slot(name).is_some());
    let weights = weights_beside(file);
    dequantise::to_f32(inner, &weights)?;
    let compiled = compile(&proto, &weights, |name, symbols| input_fact(name, a, symbols))?;
    ensure!(
        compiled.inputs == ["encoder_hidden_states"],
        "cross-attention states need the inputs {:?}, not encoder_hidden_states alone",
        compiled.inputs
    );
    let slots: Vec<Slot> = compiled.outputs.iter().filter_map(|name| cross_slot(name)).collect();
    expect_layers(&slots, a, "present.N.encoder.key and .value")?;
    Ok(CrossPlan { plan: compiled.plan, outputs: slots })
}

/// Compiles the step of a file's decoder.
pub fn step(file: &Path, a: &Architecture, arithmetic: Arithmetic) -> TractResult<StepPlan> {
    let mut proto = graph::read(file)?;
    let inner = graph::of(&mut proto)?;
    if is_merged(inner) {
        graph::take_branch(inner, Branch::WithPast)?;
    }
    graph::keep_outputs(inner, |name| name == "logits" || past_slot(name).is_some());
    let weights = weights_beside(file);
    let head = match arithmetic {
        Arithmetic::Float => None,
        Arithmetic::Integer => {
            graph::fuse_int8_products(inner);
            graph::take_head(inner, &weights)?
        }
    };
    graph::fuse_cross_attention(inner);
    if let Some(head) = &head {
        ensure!(
            head.rows() == a.vocabulary && head.columns() == a.width,
            "the token table has {} rows of {}, config.json says {} of {}",
            head.rows(),
            head.columns(),
            a.vocabulary,
            a.width
        );
    }
    dequantise::to_f32(inner, &weights)?;
    let compiled = compile(&proto, &weights, |name, symbols| input_fact(name, a, symbols))?;
    let outputs: Vec<StepOutput> = compiled
        .outputs
        .iter()
        .map(|name| past_slot(name).map_or(StepOutput::States, StepOutput::Past))
        .collect();
    let pasts: Vec<Slot> = compiled.outputs.iter().filter_map(|name| past_slot(name)).collect();
    expect_layers(&pasts, a, "present.N.decoder.key and .value")?;
    ensure!(outputs.contains(&StepOutput::States), "the decoder has no output logits");
    let inputs = compiled.inputs.iter().map(|name| step_input(name)).collect::<TractResult<Vec<_>>>()?;
    Ok(StepPlan { plan: compiled.plan, inputs, outputs, head })
}

fn step_input(name: &str) -> TractResult<StepInput> {
    match name {
        "input_ids" => Ok(StepInput::Tokens),
        "cache_position" => Ok(StepInput::Positions),
        _ => past_slot(name)
            .map(StepInput::Past)
            .or_else(|| cross_slot(name).map(StepInput::Cross))
            .ok_or_else(|| format_err!("the decoder has an input {name} that is not known here")),
    }
}

fn past_slot(name: &str) -> Option<Slot> {
    slot(name, "decoder")
}

fn cross_slot(name: &str) -> Option<Slot> {
    slot(name, "encoder")
}

/// `present.2.decoder.value` or `past_key_values.2.decoder.value` -> 5.
fn slot(name: &str, side: &str) -> Option<Slot> {
    let mut parts = name.split('.');
    let known = matches!(parts.next()?, "present" | "past_key_values");
    let layer: usize = parts.next()?.parse().ok()?;
    let same_side = parts.next()? == side;
    let offset = match parts.next()? {
        "key" => 0,
        "value" => 1,
        _ => return None,
    };
    (known && same_side && parts.next().is_none()).then_some(2 * layer + offset)
}

fn expect_layers(slots: &[Slot], a: &Architecture, names: &str) -> TractResult<()> {
    let mut sorted = slots.to_vec();
    sorted.sort_unstable();
    ensure!(
        sorted == (0..2 * a.decoder_layers).collect::<Vec<_>>(),
        "{} outputs {names}, where config.json states {} decoder layers",
        slots.len(),
        a.decoder_layers
    );
    Ok(())
}

fn is_merged(graph: &GraphProto) -> bool {
    graph.node.iter().any(|n| n.op_type == "If") && graph.input.iter().any(|i| i.name == "use_cache_branch")
}

fn weights_beside(file: &Path) -> Weights<'_> {
    Weights { folder: file.parent().and_then(Path::to_str) }
}

/// The input must be there, and where its file states the size of `axis`, it must be `size`.
fn expect_input(graph: &GraphProto, name: &str, axis: usize, size: usize) -> TractResult<()> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
    use tract_onnx::pb::type_proto::Value as StageFactory;
    let names = || graph.input.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ");
    let input = graph.input.iter().find(|i| i.name == name);
    let input = input.ok_or_else(|| format_err!("it has the inputs {}, none of them {name}", names()))?;
    let Some(StageFactory::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Ok(());
    };
    let dimension = tensor.shape.as_ref().and_then(|s| s.dim.get(axis)).and_then(|d| d.value.as_ref());
    if let Some(Dimension::DimValue(found)) = dimension {
        ensure!(
            usize::try_from(*found) == Ok(size),
            "its input {name} has size {found} on axis {axis}, config.json says {size}"
        );
    }
    Ok(())
}

fn input_fact(name: &str, a: &Architecture, symbols: &SymbolScope) -> TractResult<TypedFact> {
    let symbol = |s: &str| symbols.sym(s).to_dim();
    let head = a.width / a.heads;
    let attention = |length: TDim| f32::fact([1.to_dim(), a.heads.to_dim(), length, head.to_dim()]);
    Ok(match name {
        "input_ids" => i64::fact([1.to_dim(), symbol("S")]),
        "cache_position" => i64::fact([symbol("S")]),
        "encoder_hidden_states" => f32::fact([1.to_dim(), symbol("E"), a.width.to_dim()]),
        "use_cache_branch" => bool::fact([1]),
        _ if cross_slot(name).is_some() => attention(symbol("E")),
        _ if past_slot(name).is_some() => attention(symbol("P")),
        _ => return Err(format_err!("it has an input {name} that is not known here")),
    })
}

fn compile(
    proto: &ModelProto,
    weights: &Weights<'_>,
    fact: impl Fn(&str, &SymbolScope) -> TractResult<TypedFact>,
) -> TractResult<Compiled> {
    let mut onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    ops::register(&mut onnx);
    let mut model = onnx.parse(proto, weights.folder)?.model;
    for assertion in ["P>=0", "P<=447", "S>=1", "S<=448", "E>=1", "E<=1500", "T>=1", "T<=1500"] {
        model.symbols.add_assertion(assertion)?;
    }
    for at in 0..model.inputs.len() {
        let name = model.node(model.input_outlets()?.get(at).map_or(0, |o| o.node)).name.clone();
        let fact = fact(&name, &model.symbols)?;
        model.set_input_fact(at, fact.into())?;
    }
    for at in 0..model.outputs.len() {
        model.set_output_fact(at, InferenceFact::default())?;
    }
    model.analyse(false).context("its shapes do not fit together")?;
    let mut model = model.into_typed()?;
    fold_big_constants(&mut model)?;
    let mut model = model.into_decluttered()?;
    // Inputs that only gave a batch size are not read any more.
    let read: Vec<OutletId> =
        model.inputs.iter().copied().filter(|o| !model.outlet_successors(*o).is_empty()).collect();
    model.inputs = read;
    let inputs = model.inputs.iter().map(|o| model.node(o.node).name.clone()).collect();
    let outputs = model
        .outputs
        .iter()
        .map(|o| model.outlet_label(*o).map_or_else(|| model.node(o.node).name.clone(), ToOwned::to_owned));
    let outputs = outputs.collect();
    let last = model.output_fact(0)?.shape.iter().last().and_then(|d| d.to_usize().ok());
    let plan = model.into_optimized()?.into_runnable()?;
    Ok(Compiled { plan, inputs, outputs, width: last })
}

/// tract folds no operation on a constant of more than 4 MiB that has several readers or that would grow: the
/// token table, which embeds tokens and projects states, would be transposed and packed again at every step. Here
/// each such operation of one input is evaluated once.
fn fold_big_constants(model: &mut TypedModel) -> TractResult<()> {
    const BIG: usize = 1 << 20; // values
    loop {
        let mut folded = false;
        for id in model.eval_order()? {
            let node = model.node(id);
            let &[input] = node.inputs.as_slice() else { continue };
            let [output] = node.outputs.as_slice() else { continue };
            if output.successors.is_empty() || model.outputs.iter().any(|o| o.node == id) {
                continue;
            }
            let Some(value) = model.node(input.node).op_as::<Const>().map(|c| c.val().clone()) else {
                continue;
            };
            if value.len() <= BIG {
                continue;
            }
            let Some(mut result) = node.op.eval_out_of_plan(tvec!(value.into_tvalue()))? else { continue };
            let (name, readers) = (format!("{}.folded", node.name), output.successors.clone());
            let constant = model.add_const(name, result.remove(0).into_arc_tensor())?;
            for reader in readers {
                model.add_edge(constant, reader)?;
            }
            folded = true;
        }
        if !folded {
            return Ok(());
        }
    }
}
