//! An ONNX graph with int8 or f16 weights in, the same graph with f32 weights out.
//!
//! tract would widen big weights again at every run (its constant folding leaves a constant alone that would grow),
//! so it is done once, at load. Understood are weight-only `DequantizeLinear` (one scale, or one per slice of an
//! axis), `Cast` of a stored table, graphs stored in f16 throughout, and onnxruntime's dynamic quantisation
//! (`DynamicQuantizeLinear` with `MatMulInteger` or `ConvInteger`), whose activations then stay in f32.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{bail, ensure, format_err};

use super::graph::{Weights, prune};

/// Widens all weights of the graph to f32.
pub fn to_f32(graph: &mut GraphProto, weights: &Weights<'_>) -> TractResult<()> {
    widen_halves(graph, weights)?;
    widen_integers(graph, weights)?;
    prune(graph);
    Ok(())
}

/// Everything in f16 becomes f32: initialisers, constants, casts, inputs and outputs.
fn widen_halves(graph: &mut GraphProto, weights: &Weights<'_>) -> TractResult<()> {
    const HALF: i32 = DataType::Float16 as i32;
    const FLOAT: i32 = DataType::Float as i32;
    let constants =
        graph.node.iter_mut().filter(|n| n.op_type == "Constant" || n.op_type == "ConstantOfShape");
    let in_nodes = constants.flat_map(|n| n.attribute.iter_mut()).filter_map(|a| a.t.as_mut());
    for tensor in graph.initializer.iter_mut().chain(in_nodes).filter(|t| t.data_type == HALF) {
        *tensor = float_tensor(&tensor.name, &weights.load(tensor)?)?;
    }
    for cast in graph.node.iter_mut().filter(|n| n.op_type == "Cast") {
        for to in cast.attribute.iter_mut().filter(|a| a.name == "to" && a.i == i64::from(HALF)) {
            to.i = i64::from(FLOAT);
        }
    }
    // What is left of a Cast of a stored table is a Cast from f32 to f32, which costs nothing.
    Ok(())
}

fn widen_integers(graph: &mut GraphProto, weights: &Weights<'_>) -> TractResult<()> {
    let GraphProto { initializer, node: nodes, .. } = graph;
    let stored: HashMap<&str, &TensorProto> = initializer.iter().map(|t| (t.name.as_str(), t)).collect();
    let load = |name: &str| -> TractResult<Tensor> {
        weights.load(stored.get(name).ok_or_else(|| format_err!("{name} is no stored weight"))?)
    };
    let mut made: HashMap<String, TensorProto> = HashMap::new();
    let mut replaced = HashSet::new();
    for node in nodes.iter_mut() {
        let first = node.input.first().cloned().unwrap_or_default();
        match node.op_type.as_str() {
            "DequantizeLinear" if stored.contains_key(first.as_str()) => {
                let output = node.output.first().cloned().unwrap_or_default();
                made.insert(output.clone(), float_tensor(&output, &dequantised(node, &load)?)?);
                replaced.insert(output);
            }
            "DynamicQuantizeLinear" => {
                let scale = node.output.get(1).cloned().unwrap_or_default();
                made.insert(scale.clone(), float_tensor(&scale, &tensor0(1f32))?);
                node.op_type = "Identity".into();
                node.output.truncate(1);
            }
            "MatMulInteger" | "ConvInteger" => {
                let source = node.input.get(1).cloned().unwrap_or_default();
                let name = format!("{source}.f32");
                if !made.contains_key(&name) {
                    let zero = node.input.get(3).filter(|z| !z.is_empty()).map(|z| load(z)).transpose()?;
                    let axis = usize::from(node.op_type != "ConvInteger");
                    let wide = shift_and_scale(&load(&source)?, zero.as_ref(), None, axis)?;
                    made.insert(name.clone(), float_tensor(&name, &wide)?);
                }
                node.op_type = node.op_type.trim_end_matches("Integer").to_owned();
                node.input = vec![first, name];
            }
            _ => {}
        }
    }
    nodes.retain(|n| n.op_type != "DequantizeLinear" || !n.output.iter().any(|o| replaced.contains(o)));
    let mut made: Vec<TensorProto> = made.into_values().collect();
    made.sort_by(|a, b| a.name.cmp(&b.name));
    initializer.extend(made);
    Ok(())
}

fn dequantised(node: &NodeProto, load: &impl Fn(&str) -> TractResult<Tensor>) -> TractResult<Tensor> {
    let [weight, scale, zero @ ..] = node.input.as_slice() else {
        bail!("a DequantizeLinear without a scale")
    };
    let weight = load(weight)?;
    let zero = zero.first().filter(|z| !z.is_empty()).map(|z| load(z)).transpose()?;
    let axis = node.attribute.iter().find(|a| a.name == "axis").map_or(1, |a| a.i);
    let axis = if axis < 0 { axis + weight.rank() as i64 } else { axis };
    shift_and_scale(&weight, zero.as_ref(), Some(&load(scale)?), usize::try_from(axis)?)
}

/// (weight - zero) * scale, where zero and scale hold one value, or one per index of `axis`.
fn shift_and_scale(
    weight: &Tensor,
    zero: Option<&Tensor>,
    scale: Option<&Tensor>,
    axis: usize,
) -> TractResult<Tensor> {
    let per_slice = |t: Option<&Tensor>, default: f32| -> TractResult<Vec<f32>> {
        let Some(t) = t else { return Ok(vec![default]) };
        let values: Vec<f32> = t.cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().copied().collect();
        ensure!(
            values.len() == 1 || weight.shape().get(axis) == Some(&values.len()),
            "{} scales or zero points for a weight of shape {:?} and axis {axis}",
            values.len(),
            weight.shape()
        );
        Ok(values)
    };
    let (zero, scale) = (per_slice(zero, 0.0)?, per_slice(scale, 1.0)?);
    let inner: usize = weight.shape().iter().skip(axis + 1).product();
    let count = weight.shape().get(axis).copied().unwrap_or(1).max(1);
    let mut wide = weight.cast_to::<f32>()?.into_owned();
    let mut values = wide.to_plain_array_view_mut::<f32>()?;
    let values = values.as_slice_mut().ok_or_else(|| format_err!("a weight that is not contiguous"))?;
    for (block, row) in values.chunks_mut(inner.max(1)).enumerate() {
        let slice = block % count;
        let at = |v: &[f32]| v.get(slice).or(v.first()).copied().unwrap_or_default();
        let (zero, scale) = (at(&zero), at(&scale));
        for value in row {
            *value = (*value - zero) * scale;
        }
    }
    Ok(wide)
}

fn float_tensor(name: &str, values: &Tensor) -> TractResult<TensorProto> {
    let values = values.cast_to::<f32>()?;
    Ok(TensorProto {
        name: name.into(),
        dims: values.shape().iter().map(|d| *d as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: values.to_plain_array_view::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    })
}
