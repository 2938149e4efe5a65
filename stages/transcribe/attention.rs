//! Queries, keys and values in, what attention reads out: one pass over the keys and one over the values.
//!
//! As a plain matrix product, tract packs the keys and values again for every token, though the queries are a single
//! row: for 30 s of audio that is most of a step. Sums run over fixed lanes, so the result does not depend on the
//! instructions that the compiler may use.

use super::lanes;

/// The sizes of one layer's cross-attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Attention heads.
    pub heads: usize,
    /// Rows of the queries.
    pub queries: usize,
    /// Rows of the keys and values.
    pub positions: usize,
    /// Width of a row.
    pub width: usize,
}

/// softmax(queries x keys^T) x values for each head; queries and result are [heads][queries][width], keys and values
/// [heads][positions][width]. The queries come scaled.
pub fn attend(shape: Shape, queries: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
    lanes::widest(|| attend_heads(shape, queries, keys, values, out));
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn attend_heads(shape: Shape, queries: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
    let mut weights = vec![0f32; shape.positions];
    let of_head = shape.positions * shape.width;
    let heads = keys.chunks_exact(of_head.max(1)).zip(values.chunks_exact(of_head.max(1)));
    let rows = shape.queries * shape.width;
    let sides = queries.chunks_exact(rows.max(1)).zip(out.chunks_exact_mut(rows.max(1)));
    for ((keys, values), (queries, out)) in heads.zip(sides) {
        for (query, out) in queries.chunks_exact(shape.width).zip(out.chunks_exact_mut(shape.width)) {
            for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(shape.width)) {
                *weight = lanes::dot(query, key);
            }
            softmax(&mut weights);
            out.fill(0.0);
            for (weight, value) in weights.iter().zip(values.chunks_exact(shape.width)) {
                lanes::add_scaled(out, *weight, value);
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn softmax(values: &mut [f32]) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0f32;
    for value in values.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    let share = 1.0 / sum;
    for value in values {
        *value *= share;
    }
}
