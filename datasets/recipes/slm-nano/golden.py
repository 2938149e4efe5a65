#!/usr/bin/env python3
"""Makes tests/golden/slm: what transformers computes in float32 with slm-nano and with tiny random models.

    python golden.py            # everything anew
    python golden.py --check    # computes it again and compares to 1e-4

slm-nano.json: three texts, their token ids, and the logits of all positions in every 97th column of the vocabulary.
Each other folder is a model of 64 tokens, width 32, two layers, four heads and two key-value heads, in one of the forms
that users' models come in, with golden.json: input ids, and all logits. Weights come from fixed seeds; with the pinned
versions a second run gives the same bytes.
"""

import argparse
import json
import os
import shutil
import sys
import zlib
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
NANO = HERE.parents[1] / "models" / "slm-nano"
GOLDEN = HERE.parents[2] / "tests" / "golden" / "slm"
ENGINE = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32"
EVERY = 97
TEXTS = [
    "The oven in the kitchen is still hot, so please let the soup cool for ten minutes.",
    "Wicket, take this down: the kedgeree needs 45 minutes in Mrs. O'Neill's tagine!",
    "  Naïve café – 3½ µm,\n\ttabs\tand  blanks;  ümläute, 漢字 and 🙂.",
]
# What flows into the tiny models: one long row, so that rotary positions matter, and one short row.
INPUTS = [[(7 * n * n + 3 * n + 1) % 64 for n in range(48)], [5, 0, 63, 17, 17]]

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "hidden_act": "silu",
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "vocab_size": 64,
}
BANDS = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "max_window_layers": 2,
    "model_type": "qwen2",
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "use_sliding_window": False,
}
MISTRAL = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "sliding_window": None,
    "tie_word_embeddings": False,
}
# Folder -> what its config.json says otherwise than LLAMA.
VARIANTS = {
    "llama-tied": {},
    "llama-untied": {"tie_word_embeddings": False},
    "llama-head-dim": {"head_dim": 16},
    "rope-linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    # Of the four wavelengths of this width one is kept, one is blended and two are stretched.
    "rope-llama3": {"rope_scaling": {"rope_type": "llama3", **BANDS}},
    # As transformers 5 writes it: the base and the scaling in one table, and `dtype`.
    "rope-llama3-v5": {"rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0, **BANDS}, "dtype": "float32"},
    "qwen2": QWEN2,
    "mistral": MISTRAL,
    "bf16": {"torch_dtype": "bfloat16"},
    "f16": {"torch_dtype": "float16"},
    "sharded": {"tie_word_embeddings": False},
}
SHARDS = 3


def config_of(name: str) -> dict:
    """The JSON of one variant."""
    config = LLAMA | VARIANTS[name]
    if "rope_parameters" in config:
        for key in ("rope_scaling", "rope_theta", "torch_dtype"):
            del config[key]
    if config["model_type"] != "llama":
        for key in ("attention_bias", "mlp_bias", "rope_scaling"):
            del config[key]
    return dict(sorted(config.items()))


def weights_of(name: str, folder: Path) -> dict[str, torch.Tensor]:
    """Random tensors by Hugging Face's names, larger than the usual initialisation, so that logits spread."""
    torch.manual_seed(zlib.crc32(name.encode()))
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    tensors = {}
    for tensor, value in sorted(model.state_dict().items()):
        if tensor == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        spread = torch.randn(value.shape)
        is_norm = "norm" in tensor
        tensors[tensor] = 1 + 0.2 * spread if is_norm else 0.25 * spread if value.dim() == 2 else 0.5 * spread
    kind = getattr(torch, config_of(name).get("torch_dtype", "float32"))
    return {tensor: value.to(kind).contiguous() for tensor, value in tensors.items()}


def make_folder(name: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(folder / "config.json", config_of(name))
    tensors = weights_of(name, folder)
    if name == "sharded":
        save_shards(tensors, folder)
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def save_shards(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Several files and the index that says which tensor is where; a layer's tensors lie in different files."""
    places = {}
    for shard in range(SHARDS):
        file = f"model-{shard + 1:05d}-of-{SHARDS:05d}.safetensors"
        some = {name: tensors[name] for name in list(tensors)[shard::SHARDS]}
        save_file(some, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(some, file)
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    write(
        folder / "model.safetensors.index.json",
        {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))},
    )


@torch.no_grad()
def logits_of(folder: Path, rows: list[list[int]]) -> list[torch.Tensor]:
    """Each row alone: [positions, vocabulary] in float32."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return [model(input_ids=torch.tensor([row])).logits[0] for row in rows]


def numbers(values: torch.Tensor) -> list:
    return [[float(f"{value:.7g}") for value in row] for row in values.tolist()]


def golden_of_variant(name: str) -> dict:
    logits = logits_of(GOLDEN / name, INPUTS)
    return {"engine": ENGINE, "inputs": INPUTS, "logits": [numbers(rows) for rows in logits]}


def golden_of_nano() -> dict:
    tokenizer = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    columns = list(range(0, tokenizer.get_vocab_size(), EVERY))
    texts = [
        {"text": text, "ids": row, "logits": numbers(logits[:, columns])}
        for text, row, logits in zip(TEXTS, ids, logits_of(NANO, ids))
    ]
    return {"engine": ENGINE, "columns": columns, "texts": texts}


def refuse_same(made: dict[str, dict]) -> None:
    """Stops if a scaling of the rotary positions makes no difference: it would test nothing."""
    for name in ("rope-linear", "rope-llama3", "rope-llama3-v5"):
        plain = GOLDEN / "plain.tmp"
        shutil.copytree(GOLDEN / name, plain, dirs_exist_ok=True)
        config = {
            key: value for key, value in config_of(name).items() if key not in ("rope_scaling", "rope_parameters")
        }
        write(plain / "config.json", {"rope_theta": 10000.0} | config)
        without = logits_of(plain, INPUTS)[0]
        shutil.rmtree(plain)
        difference = (without - torch.tensor(made[name]["logits"][0])).abs().max().item()
        if difference < 0.05:
            raise SystemExit(f"{name}: the scaling changes no logit by more than {difference}")


def write(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_rows(path: Path, value: dict) -> None:
    """On one line: rows of numbers are not for reading."""
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", "utf-8")
    size = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
    print(f"{size / 1e3:8.1f} kB  {path.parent.relative_to(GOLDEN.parent)}")


def differs(found, expected) -> bool:
    """Whether two golden values differ by more than rounding."""
    if isinstance(expected, dict):
        return found.keys() != expected.keys() or any(
            differs(found[key], expected[key]) for key in expected if key != "engine"
        )
    if isinstance(expected, list):
        return len(found) != len(expected) or any(map(differs, found, expected))
    return abs(found - expected) > 1e-4 if isinstance(expected, float) else found != expected


def check(made: dict[Path, dict]) -> int:
    wrong = [path for path, value in made.items() if differs(value, json.loads(path.read_text("utf-8")))]
    for path in wrong:
        print(f"{path} differs from what is computed here", file=sys.stderr)
    if not wrong:
        print(f"{len(made)} files agree")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.check:
        for name in VARIANTS:
            make_folder(name, GOLDEN / name)
    variants = {name: golden_of_variant(name) for name in VARIANTS}
    made = {GOLDEN / name / "golden.json": value for name, value in variants.items()}
    made[GOLDEN / "slm-nano.json"] = golden_of_nano()
    if options.check:
        return check(made)
    refuse_same(variants)
    for path, value in made.items():
        write_rows(path, value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
