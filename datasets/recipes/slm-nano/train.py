#!/usr/bin/env python3
"""Trains slm-nano on the base text: a Llama of two million parameters. One thread, about twenty minutes.

    python train.py                 # text.tmp and the tokenizer in; config, weights (float16) and SHA256SUMS out
    python train.py --measure       # only prints the perplexities of the model that stands there

Seeds and threads are fixed: on one machine a second run gives the same bytes; another processor may round otherwise.
The README.md of the model folder is written by hand.
"""

import argparse
import hashlib
import json
import math
import os
import random
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
TEXT = HERE / "text.tmp"
MODEL = HERE.parents[1] / "models" / "slm-nano"
PERSONAL = HERE.parents[1] / "personal"
SEED = 1
CONTEXT, BATCH, STEPS, WARMUP = 256, 8, 1750, 60
PEAK_RATE, LAST_RATE = 3e-3, 1e-4
SPLIT = 0.06  # the part of words that are cut in two before encoding, so that rare tokens are seen too
END = 0

# As config.json, in the layout that every version of transformers reads.
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": END,
    "eos_token_id": END,
    "pad_token_id": END,
    "head_dim": 40,
    "hidden_act": "silu",
    "hidden_size": 160,
    "initializer_range": 0.04,
    "intermediate_size": 432,
    "max_position_embeddings": CONTEXT,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 6,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float16",
    "use_cache": True,
    "vocab_size": 2048,
}
GENERATION = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    if not options.measure:
        save(trained(tokenizer))
    for name, value in measured(tokenizer).items():
        print(f"{value:10.3f}  {name}")


def trained(tokenizer: Tokenizer) -> LlamaForCausalLM:
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(LlamaConfig(**(CONFIG | {"torch_dtype": "float32"})))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), eps=1e-8)
    started, total = time.monotonic(), 0.0
    for step, batch in zip(range(STEPS), batches(tokenizer), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()
        if step % 50 == 49:
            print(f"step {step + 1:5d}  loss {total / 50:.3f}  {time.monotonic() - started:6.0f} s", flush=True)
            total = 0.0
    return model


def rate(step: int) -> float:
    """Linear up, then half a cosine down."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / WARMUP
    done = (step - WARMUP) / (STEPS - WARMUP)
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def batches(tokenizer: Tokenizer):
    """[BATCH, CONTEXT] token ids without end: the utterances in a new order each time, an end token between them."""
    lines = (TEXT / "train.txt").read_text("utf-8").splitlines()
    rng = random.Random(SEED)
    ids: list[int] = []
    while True:
        for line in rng.sample(lines, len(lines)):
            ids.append(END)
            ids += cut_encoding(rng, tokenizer, line)
            while len(ids) >= BATCH * CONTEXT:
                yield torch.tensor(ids[: BATCH * CONTEXT]).view(BATCH, CONTEXT)
                del ids[: BATCH * CONTEXT]


def cut_encoding(rng: random.Random, tokenizer: Tokenizer, line: str) -> list[int]:
    """The tokens of a line in which some words are cut in two."""
    words = line.split(" ")
    text, parts = words[0], []
    for word in words[1:]:
        if len(word) > 3 and rng.random() < SPLIT:
            at = rng.randrange(2, len(word))
            parts.append(f"{text} {word[:at]}")
            text = word[at:]
        else:
            text += " " + word
    parts.append(text)
    return [token for part in parts for token in tokenizer.encode(part).ids]


def save(model: LlamaForCausalLM) -> None:
    MODEL.mkdir(parents=True, exist_ok=True)
    weights = {name: value.to(torch.float16).contiguous() for name, value in sorted(model.state_dict().items())}
    del weights["lm_head.weight"]  # it is the token table
    save_file(weights, MODEL / "model.safetensors", metadata={"format": "pt"})
    (MODEL / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    (MODEL / "generation_config.json").write_text(json.dumps(GENERATION, indent=2) + "\n")
    names = sorted(path.name for path in MODEL.iterdir() if path.suffix in (".json", ".safetensors"))
    sums = (f"{hashlib.sha256((MODEL / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (MODEL / "SHA256SUMS").write_text("".join(sums))


def measured(tokenizer: Tokenizer) -> dict[str, float]:
    """Perplexities of the saved model in float32."""
    model = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    texts = {"base text, held out": (TEXT / "heldout.txt").read_text("utf-8").splitlines()}
    for name in ("train", "heldout", "newcomers-train", "newcomers-heldout"):
        lines = (PERSONAL / f"{name}.jsonl").read_text("utf-8").splitlines()
        texts[f"personal, {name}"] = [json.loads(line)["text"] for line in lines]
    return {name: perplexity(model, tokenizer, lines) for name, lines in texts.items()}


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, tokenizer: Tokenizer, lines: list[str]) -> float:
    """Each line alone between two end tokens: exp of the mean loss of all its tokens and the last end."""
    loss, count = 0.0, 0
    rows = sorted(([END, *tokenizer.encode(line).ids, END] for line in lines), key=len)
    for start in range(0, len(rows), 32):
        some = rows[start : start + 32]
        width = max(map(len, some))
        ids = torch.tensor([row + [END] * (width - len(row)) for row in some])
        labels = torch.tensor([row[1:] + [-100] * (width - len(row)) for row in some])
        logits = model(input_ids=ids).logits[:, :-1]
        loss += torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").item()
        count += sum(len(row) - 1 for row in some)
    return math.exp(loss / count)


if __name__ == "__main__":
    main()
