//! An architecture goes in; the canonical names and shapes of its tensors, and what GGUF calls them, come out.
//! Canonical are Hugging Face's names, in the order of computation.

use super::super::config::Architecture;

/// The token table.
pub const EMBEDDING: &str = "model.embed_tokens.weight";
/// The norm before the head.
pub const NORM: &str = "model.norm.weight";
/// The head of an untied model.
pub const HEAD: &str = "lm_head.weight";

/// The parts of a layer: Hugging Face's name, GGUF's name.
const PARTS: [(&str, &str); 12] = [
    ("input_layernorm.weight", "attn_norm.weight"),
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.q_proj.bias", "attn_q.bias"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.k_proj.bias", "attn_k.bias"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.v_proj.bias", "attn_v.bias"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("post_attention_layernorm.weight", "ffn_norm.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
];

/// The canonical name of a part of a layer, for example `layer(3, "self_attn.q_proj.weight")`.
pub fn layer(number: usize, part: &str) -> String {
    format!("model.layers.{number}.{part}")
}

/// All tensors of an architecture with their shapes, outermost dimension first (`[out, in]` for matrices).
pub fn expected(a: &Architecture) -> Vec<(String, Vec<usize>)> {
    let (q, kv) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
    let shape = |part: &str| match part {
        "self_attn.q_proj.weight" => vec![q, a.hidden],
        "self_attn.k_proj.weight" | "self_attn.v_proj.weight" => vec![kv, a.hidden],
        "self_attn.o_proj.weight" => vec![a.hidden, q],
        "self_attn.q_proj.bias" => vec![q],
        "self_attn.k_proj.bias" | "self_attn.v_proj.bias" => vec![kv],
        "mlp.gate_proj.weight" | "mlp.up_proj.weight" => vec![a.intermediate, a.hidden],
        "mlp.down_proj.weight" => vec![a.hidden, a.intermediate],
        _ => vec![a.hidden], // the norms
    };
    let mut all = vec![(EMBEDDING.to_owned(), vec![a.vocab, a.hidden])];
    for number in 0..a.layers {
        let parts = PARTS.iter().filter(|(part, _)| a.qkv_bias || !part.ends_with(".bias"));
        all.extend(parts.map(|(part, _)| (layer(number, part), shape(part))));
    }
    all.push((NORM.to_owned(), vec![a.hidden]));
    if !a.tied {
        all.push((HEAD.to_owned(), vec![a.vocab, a.hidden]));
    }
    all
}

/// The canonical name of a tensor of a GGUF file; nothing if no model of the family has it.
pub fn from_gguf(name: &str) -> Option<String> {
    match name {
        "token_embd.weight" => return Some(EMBEDDING.to_owned()),
        "output_norm.weight" => return Some(NORM.to_owned()),
        "output.weight" => return Some(HEAD.to_owned()),
        _ => {}
    }
    let (number, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let number: usize = number.parse().ok()?;
    let (part, _) = PARTS.iter().find(|(_, theirs)| *theirs == part)?;
    Some(layer(number, part))
}

/// Returns true if llama.cpp stores the rows of this tensor permuted: those of q and k, in files of architecture `llama`.
pub fn is_permuted(name: &str) -> bool {
    name.contains(".self_attn.q_proj.") || name.contains(".self_attn.k_proj.")
}

/// The row of a llama.cpp file that holds row `row` of Hugging Face's. llama.cpp turns pairs (2i, 2i + 1) of a head,
/// Hugging Face (i, i + d / 2): the rows of each head go from order [d / 2, 2] back to [2, d / 2].
pub fn permuted_row(row: usize, head_dim: usize) -> usize {
    let (head, within) = (row / head_dim, row % head_dim);
    let half = head_dim / 2;
    head * head_dim + (within % half) * 2 + within / half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_gguf_become_canonical() {
        let check = |theirs, ours: Option<&str>| assert_eq!(from_gguf(theirs).as_deref(), ours, "{theirs}");
        check("token_embd.weight", Some("model.embed_tokens.weight"));
        check("output_norm.weight", Some("model.norm.weight"));
        check("output.weight", Some("lm_head.weight"));
        check("blk.0.attn_q.weight", Some("model.layers.0.self_attn.q_proj.weight"));
        check("blk.29.ffn_down.weight", Some("model.layers.29.mlp.down_proj.weight"));
        check("blk.7.attn_v.bias", Some("model.layers.7.self_attn.v_proj.bias"));
        check("blk.7.attn_output.bias", None);
        check("blk.x.attn_q.weight", None);
        check("blk.0.ffn_gate_exps.weight", None);
        check("rope_freqs.weight", None);
    }

    #[test]
    fn rows_are_put_back() {
        // numpy: arange(8).reshape(2, 2, 2).swapaxes(1, 2).reshape(8), two heads of four rows
        let rows: Vec<usize> = (0..8).map(|row| permuted_row(row, 4)).collect();
        assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
        let rows: Vec<usize> = (0..6).map(|row| permuted_row(row, 6)).collect();
        assert_eq!(rows, [0, 2, 4, 1, 3, 5]);
    }
}
