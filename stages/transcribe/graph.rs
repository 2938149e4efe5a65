//! An ONNX graph in, the same graph rewritten for our plans out: a merged decoder undone, unused parts dropped,
//! a fixed position table sliced, the vocabulary projection taken out. Works on the file's own protobuf messages,
//! before tract sees them. Knows nothing of audio, tokens or plans.

use std::collections::{BTreeSet, HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractErrorContext as _, ensure, format_err};

use super::int8::Int8Matrix;
use super::ops;

/// Loads initialisers, those in external data files beside the graph too.
pub struct Weights<'a> {
    /// The folder of the ONNX file, where external data lies.
    pub folder: Option<&'a str>,
}

impl Weights<'_> {
    /// The values of one initialiser.
    pub fn load(&self, tensor: &TensorProto) -> TractResult<Tensor> {
        let resolver = tract_onnx::data_resolver::default();
        tract_onnx::tensor::load_tensor(&*resolver, tensor, self.folder)
    }
}

/// The branches of a merged decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// With a past: the steps after the first.
    WithPast,
    /// Without one: the first step, which also projects the encoder's states for cross-attention.
    First,
}

/// Replaces the single `If` of optimum's merged decoder by one of its branches.
pub fn take_branch(graph: &mut GraphProto, branch: Branch) -> TractResult<()> {
    let at = graph
        .node
        .iter()
        .position(|n| n.op_type == "If")
        .ok_or_else(|| format_err!("no node If: not a merged decoder"))?;
    let node = graph.node.remove(at);
    let wanted = match branch {
        Branch::WithPast => "then_branch",
        Branch::First => "else_branch",
    };
    let inner = node
        .attribute
        .into_iter()
        .find(|a| a.name == wanted)
        .and_then(|a| a.g)
        .ok_or_else(|| format_err!("node If has no {wanted}"))?;
    // Quantised files keep a few nodes outside that both branches read: they stay where they are, in front.
    graph.node.extend(inner.node);
    graph.initializer.extend(inner.initializer);
    graph.output = inner.output;
    graph.value_info.clear();
    order(graph)?;
    prune(graph);
    Ok(())
}

/// Keeps the outputs that `keep` names, and only what they need.
pub fn keep_outputs(graph: &mut GraphProto, keep: impl Fn(&str) -> bool) {
    graph.output.retain(|o| keep(&o.name));
    prune(graph);
}

/// Puts each node behind those that it reads from, keeping the order of the file otherwise. ONNX demands it, yet some
/// converters to f16 append the casts of the inputs at the end, and onnxruntime reads such files.
fn order(graph: &mut GraphProto) -> TractResult<()> {
    let maker: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(at, n)| n.output.iter().map(move |o| (o.as_str(), at)))
        .collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    let mut waiting: Vec<usize> = vec![0; graph.node.len()];
    for (at, node) in graph.node.iter().enumerate() {
        // An `If` has outputs of the same names as its branches: what a branch reads there is its own.
        let makers = reads(node).into_iter().filter_map(|name| maker.get(name.as_str()).copied());
        for from in makers.filter(|from| *from != at) {
            if let (Some(readers), Some(count)) = (readers.get_mut(from), waiting.get_mut(at)) {
                readers.push(at);
                *count += 1;
            }
        }
    }
    let mut ready: BTreeSet<usize> =
        waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(at, _)| at).collect();
    let mut rank = vec![usize::MAX; graph.node.len()];
    let mut placed = 0;
    while let Some(at) = ready.pop_first() {
        if let Some(rank) = rank.get_mut(at) {
            *rank = placed;
            placed += 1;
        }
        for reader in readers.get(at).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(*reader) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(*reader);
                }
            }
        }
    }
    ensure!(placed == graph.node.len(), "a graph whose nodes read from each other in a circle");
    let mut nodes: Vec<(usize, NodeProto)> = rank.into_iter().zip(graph.node.drain(..)).collect();
    nodes.sort_by_key(|(rank, _)| *rank);
    graph.node.extend(nodes.into_iter().map(|(_, node)| node));
    Ok(())
}

/// The names that a node reads, those of its subgraphs among them: they do not list what they read from outside.
fn reads(node: &NodeProto) -> Vec<String> {
    let inner = node.attribute.iter().filter_map(|a| a.g.as_ref()).flat_map(outer_names);
    node.input.iter().cloned().chain(inner).collect()
}

/// Drops nodes, initialisers and inputs that no output needs. Nodes stand in order.
pub fn prune(graph: &mut GraphProto) {
    let mut used: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let mut live = Vec::with_capacity(graph.node.len());
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|o| used.contains(o)) {
            used.extend(reads(&node));
            live.push(node);
        }
    }
    live.reverse();
    graph.node = live;
    graph.initializer.retain(|i| used.contains(&i.name));
    graph.input.retain(|i| used.contains(&i.name));
}

fn outer_names(graph: &GraphProto) -> Vec<String> {
    let mut names: Vec<String> = graph.node.iter().flat_map(reads).collect();
    names.extend(graph.output.iter().map(|o| o.name.clone()));
    names
}

/// Lets an encoder with a constant position table take fewer frames: the table is sliced to the positions that
/// the convolutions made. Returns whether a slice was put in (an encoder that slices by itself is left alone).
pub fn slice_positions(graph: &mut GraphProto, positions: usize, width: usize) -> bool {
    let is_table = |t: &TensorProto| t.dims.ends_with(&[positions as i64, width as i64]);
    let mut tables: HashSet<String> =
        graph.initializer.iter().filter(|t| is_table(t)).map(|t| t.name.clone()).collect();
    tables.extend(
        graph.node.iter().filter(|n| constant(n).is_some_and(is_table)).flat_map(|n| n.output.clone()),
    );
    let found = graph.node.iter().enumerate().find_map(|(at, node)| {
        let slot = node.input.iter().position(|i| tables.contains(i))?;
        let other = node.input.get(1 - slot.min(1))?;
        (node.op_type == "Add" && node.input.len() == 2).then(|| (at, slot, other.clone()))
    });
    let Some((at, slot, states)) = found else { return false };
    let Some(input) = graph.node.get_mut(at).and_then(|n| n.input.get_mut(slot)) else { return false };
    let table = std::mem::replace(input, "positions.cut".into());
    let rank = rank_of(graph, &table);
    let numbers = [("positions.0", 0), ("positions.1", 1), ("positions.2", 2), ("positions.axis", rank - 2)];
    graph.initializer.extend(numbers.map(|(name, value)| integers(name, &[value])));
    let nodes = [
        node("Shape", &[&states], "positions.shape"),
        node("Slice", &["positions.shape", "positions.1", "positions.2", "positions.0"], "positions.count"),
        node("Slice", &[&table, "positions.0", "positions.count", "positions.axis"], "positions.cut"),
    ];
    for (offset, node) in nodes.into_iter().enumerate() {
        graph.node.insert(at + offset, node);
    }
    true
}

fn rank_of(graph: &GraphProto, name: &str) -> i64 {
    let initialiser = graph.initializer.iter().find(|t| t.name == name);
    let in_node = || graph.node.iter().find(|n| n.output.iter().any(|o| o == name)).and_then(constant);
    initialiser.or_else(in_node).map_or(2, |t| t.dims.len() as i64)
}

/// The value of a `Constant` node.
pub fn constant(node: &NodeProto) -> Option<&TensorProto> {
    if node.op_type != "Constant" {
        return None;
    }
    node.attribute.iter().find(|a| a.name == "value").and_then(|a| a.t.as_ref())
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: output.into(),
        input: inputs.iter().map(|i| (*i).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// Takes the vocabulary projection out of a decoder whose token table is int8 with one scale a token
/// (`MatMul(states, Transpose(DequantizeLinear(table, scales, axis = 0)))`): the graph then ends in the last
/// hidden states, and the projection is returned. `None`, and the graph untouched, for any other shape of head.
pub fn take_head(graph: &mut GraphProto, weights: &Weights<'_>) -> TractResult<Option<Int8Matrix>> {
    let makers = Makers::of(graph);
    let head = makers.find("logits", "MatMul").and_then(|product| {
        let transposed = makers.find(product.input.get(1)?, "Transpose")?;
        let (table, scales) = makers.int8_weight(transposed.input.first()?, 0)?;
        Some((product.input.first()?.clone(), table, scales))
    });
    let Some((states, table, scales)) = head else { return Ok(None) };
    let head = Int8Matrix::from_rows(&weights.load(table)?, &weights.load(scales)?)?;
    for output in graph.output.iter_mut().filter(|o| o.name == "logits") {
        output.name.clone_from(&states);
    }
    prune(graph);
    Ok(Some(head))
}

/// Replaces products with int8 weights, `MatMul(x, DequantizeLinear(weights, scales, axis = 1))`, by the operator
/// [`ops::INT8_PRODUCT`], which reads the weights as they are stored.
pub fn fuse_int8_products(graph: &mut GraphProto) {
    let makers = Makers::of(graph);
    let fused: Vec<(usize, [String; 2])> = graph
        .node
        .iter()
        .enumerate()
        .filter(|(_, node)| node.op_type == "MatMul")
        .filter_map(|(at, node)| {
            let (weights, scales) = makers.int8_weight(node.input.get(1)?, 1)?;
            Some((at, [weights.name.clone(), scales.name.clone()]))
        })
        .collect();
    for (at, weights) in fused {
        if let Some(node) = graph.node.get_mut(at) {
            node.op_type = ops::INT8_PRODUCT.into();
            node.input.truncate(1);
            node.input.extend(weights);
        }
    }
    prune(graph);
}

/// Replaces cross-attention, `MatMul(Softmax(MatMul(q, Transpose(keys))), values)` over the graph's inputs, by the
/// operator [`ops::ATTENTION`].
pub fn fuse_cross_attention(graph: &mut GraphProto) {
    let makers = Makers::of(graph);
    let is_cross = |name: &str| name.starts_with("past_key_values.") && name.contains(".encoder.");
    let fused: Vec<(usize, [String; 3])> = graph
        .node
        .iter()
        .enumerate()
        .filter(|(_, node)| node.op_type == "MatMul")
        .filter_map(|(at, node)| {
            let values = node.input.get(1).filter(|v| is_cross(v))?;
            let scores =
                makers.find(makers.find(node.input.first()?, "Softmax")?.input.first()?, "MatMul")?;
            let transposed = makers.find(scores.input.get(1)?, "Transpose")?;
            let keys = transposed.input.first().filter(|k| is_cross(k))?;
            let swaps = transposed.attribute.iter().any(|a| a.name == "perm" && a.ints == [0, 1, 3, 2]);
            swaps.then(|| Some((at, [scores.input.first()?.clone(), keys.clone(), values.clone()])))?
        })
        .collect();
    for (at, inputs) in fused {
        if let Some(node) = graph.node.get_mut(at) {
            node.op_type = ops::ATTENTION.into();
            node.input = inputs.into();
        }
    }
    prune(graph);
}

/// The node that makes a value, and the initialiser that holds it.
struct Makers<'g> {
    nodes: HashMap<&'g str, &'g NodeProto>,
    stored: HashMap<&'g str, &'g TensorProto>,
}

impl<'g> Makers<'g> {
    fn of(graph: &'g GraphProto) -> Makers<'g> {
        Makers {
            nodes: graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect(),
            stored: graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
        }
    }

    /// The node that makes `name`, where it is of this kind.
    fn find(&self, name: &str, op: &str) -> Option<&'g NodeProto> {
        self.nodes.get(name).copied().filter(|n| n.op_type == op)
    }

    /// Weights and scales of a matrix stored in int8 without zero points, one scale for each index of `axis`.
    fn int8_weight(&self, name: &str, axis: i64) -> Option<(&'g TensorProto, &'g TensorProto)> {
        let node = self.find(name, "DequantizeLinear")?;
        let [weights, scales] = node.input.as_slice() else { return None };
        let (weights, scales) = (*self.stored.get(weights.as_str())?, *self.stored.get(scales.as_str())?);
        let per = node.attribute.iter().find(|a| a.name == "axis").map_or(1, |a| a.i);
        let fits = per == axis
            && weights.dims.len() == 2
            && weights.data_type == DataType::Int8 as i32
            && scales.data_type == DataType::Float as i32
            && scales.dims.first() == usize::try_from(axis).ok().and_then(|axis| weights.dims.get(axis))
            && scales.dims.len() == 1;
        fits.then_some((weights, scales))
    }
}

/// Reads an ONNX file, its nodes in order.
pub fn read(path: &std::path::Path) -> TractResult<ModelProto> {
    let mut model = tract_onnx::onnx().proto_model_for_path(path).context("it is no ONNX model")?;
    order(of(&mut model)?)?;
    Ok(model)
}

/// The graph of a model.
pub fn of(model: &mut ModelProto) -> TractResult<&mut GraphProto> {
    model.graph.as_mut().ok_or_else(|| format_err!("an ONNX file without a graph"))
}
