"""A tiny GGUF model of the llama architecture with all readable formats, and what its numbers are by the `gguf` package.
usage: tiny.py SmolLM2-135M-Instruct.Q4_1.gguf OUT_FOLDER      (made with gguf 0.19.0, numpy 2.4.6)
Tokens and merges are the first of SmolLM2's (Apache-2.0); weights are random. Writes tiny.gguf, tiny.json and, for the
real model, real.json: SHA-256 of each tensor's f32 numbers (little-endian, row after row, q and k un-permuted) under its
Hugging Face name, and the first four numbers of the first and the last row."""
import hashlib, json, sys
from pathlib import Path
import numpy as np
from gguf import GGUFReader, GGUFWriter, GGMLQuantizationType as Q
from gguf.quants import dequantize, quantize

src, out = sys.argv[1], Path(sys.argv[2])
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

def golden(path):
    r = GGUFReader(path)
    heads, kv = (r.fields[f"llama.attention.head_count{k}"].contents() for k in ("", "_kv"))
    found = {}
    for t in r.tensors:
        w, p = dequantize(t.data, t.tensor_type), t.name.split(".")
        name = f"model.layers.{p[1]}.{NAMES[p[2]]}.{p[3]}" if p[0] == "blk" else f"{TOP[p[0]]}.{p[1]}"
        if p[0] == "blk" and p[2] in ("attn_q", "attn_k"):
            h = heads if p[2] == "attn_q" else kv
            w = w.reshape(h, w.shape[0] // h // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
        w = np.ascontiguousarray(w, dtype="<f4")
        m = w.reshape(1, -1) if w.ndim == 1 else w
        found[name] = {"type": t.tensor_type.name, "shape": list(w.shape), "sha256": hashlib.sha256(w.tobytes()).hexdigest(),
                       "first": [float(x) for x in m[0, :4]], "last": [float(x) for x in m[-1, :4]]}
    return found

def dump(name, obj):
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(obj.items()))
    (out / name).write_text("{\n" + lines + "\n}\n")

real = {k: f.contents() for k, f in GGUFReader(src).fields.items()}
V, MERGES, H, L, I, HEADS, KV = 2048, 2048 - 17 - 235, 64, 2, 96, 4, 2
w = GGUFWriter(out / "tiny.gguf", "llama")
w.add_context_length(256); w.add_embedding_length(H); w.add_block_count(L); w.add_feed_forward_length(I)
w.add_head_count(HEADS); w.add_head_count_kv(KV); w.add_layer_norm_rms_eps(1e-5); w.add_rope_freq_base(1e5)
w.add_rope_dimension_count(H // HEADS); w.add_vocab_size(V)
w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre("smollm")
w.add_token_list(real["tokenizer.ggml.tokens"][:V]); w.add_token_types(real["tokenizer.ggml.token_type"][:V])
w.add_token_merges(real["tokenizer.ggml.merges"][:MERGES])
w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_pad_token_id(2); w.add_unk_token_id(0); w.add_add_bos_token(False)
r = np.random.default_rng(11)
def put(name, shape, kind):
    x = (r.standard_normal(shape) * 0.05).astype(np.float32)
    w.add_tensor(name, x if kind == Q.F32 else quantize(x, kind), raw_dtype=kind)
put("token_embd.weight", (V, H), Q.Q4_0)
put("output_norm.weight", (H,), Q.F32)
kinds = [[Q.Q4_1, Q.Q8_0, Q.Q4_0, Q.F16, Q.BF16, Q.Q4_1, Q.Q8_0], [Q.F16, Q.BF16, Q.F32, Q.Q4_1, Q.Q4_0, Q.Q8_0, Q.Q4_1]]
for i in range(L):
    d = H // HEADS
    shapes = {"attn_q": (HEADS * d, H), "attn_k": (KV * d, H), "attn_v": (KV * d, H), "attn_output": (H, HEADS * d),
              "ffn_gate": (I, H), "ffn_up": (I, H), "ffn_down": (H, I)}
    put(f"blk.{i}.attn_norm.weight", (H,), Q.F32); put(f"blk.{i}.ffn_norm.weight", (H,), Q.F32)
    for (name, shape), kind in zip(shapes.items(), kinds[i]): put(f"blk.{i}.{name}.weight", shape, kind)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
dump("tiny.json", golden(out / "tiny.gguf"))
dump("real.json", golden(src))
