"""A llama GGUF to what the benches read. Usage: smollm2_prepare.py IN.gguf OUT

OUT/stored: weights.safetensors, each matrix as the GGUF's own blocks (bytes, `[rows, bytes of a row]`; the metadata says which
format), and shape.json. OUT/hf: the same weights as f32 for transformers. Needs numpy, gguf, safetensors, torch, transformers.
"""
import json, os, sys
import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file

source, out = sys.argv[1:3]
reader = GGUFReader(source)
field = lambda key: reader.fields["llama." + key].contents()
heads, kv_heads = field("attention.head_count"), field("attention.head_count_kv")
hidden, layers = field("embedding_length"), field("block_count")
names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
parts = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
         "ffn_norm": "post_attention_layernorm"}
stored, numbers, formats = {}, {}, {}
for tensor in reader.tensors:
    name = tensor.name.removesuffix(".weight")
    if name in names:
        name = names[name] + ".weight"
    else:
        _, layer, part = name.split(".")
        name = f"model.layers.{layer}.{parts[part]}.weight"
    sizes = [int(n) for n in reversed(tensor.shape)]
    raw = np.ascontiguousarray(tensor.data).view(np.uint8).reshape(sizes[0] if len(sizes) > 1 else 1, -1)
    values = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(sizes)
    count = heads if "q_proj" in name else kv_heads if "k_proj" in name else 0
    if count:
        # llama.cpp turns pairs (2i, 2i + 1) of a head: its rows go from [d / 2, 2] back to [2, d / 2].
        back = lambda x: np.ascontiguousarray(x.reshape(count, sizes[0] // count // 2, 2, -1).swapaxes(1, 2).reshape(sizes[0], -1))
        raw, values = back(raw), back(values)
    stored[name], numbers[name] = raw, values
    formats[name] = json.dumps([tensor.tensor_type.name, sizes])
vocabulary = numbers["model.embed_tokens.weight"].shape[0]
shape = {"vocabulary": vocabulary, "hidden": hidden, "intermediate": field("feed_forward_length"), "layers": layers, "heads": heads,
         "kv_heads": kv_heads, "head_dim": hidden // heads, "norm_eps": 1e-5, "rope_theta": field("rope.freq_base"),
         "tied": "lm_head.weight" not in numbers}
os.makedirs(f"{out}/stored", exist_ok=True)
save_file(stored, f"{out}/stored/weights.safetensors", metadata=formats)
json.dump(shape, open(f"{out}/stored/shape.json", "w"), indent=1)
print("stored:", {kind: sum(k.split('"')[1] == kind for k in formats.values()) for kind in sorted({k.split('"')[1] for k in formats.values()})})

import torch
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=vocabulary, hidden_size=hidden, intermediate_size=shape["intermediate"], num_hidden_layers=layers,
                     num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=hidden // heads, rms_norm_eps=1e-5,
                     rope_theta=shape["rope_theta"], tie_word_embeddings=shape["tied"], max_position_embeddings=8192,
                     bos_token_id=1, eos_token_id=2, pad_token_id=2)
assert config.rope_parameters["rope_theta"] == shape["rope_theta"], config.rope_parameters
model = LlamaForCausalLM(config)
missing, unexpected = model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in numbers.items()}, strict=False)
assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
model.save_pretrained(f"{out}/hf")
