"""Loads a published adapter into PEFT, with warnings as errors, and measures held-out texts with it.

    check_peft.py BASE ADAPTER TALK.jsonl

Prints the perplexity over all predicted tokens of the rows whose split is `heldout`, without and with the adapter: the same
texts, tokens and definition as in the table that `headwater run` prints. Needs torch, transformers and peft.
"""

import json
import math
import sys
import warnings

warnings.simplefilter("error")

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402


def main(base: str, adapter: str, talk: str) -> None:
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    with open(talk, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    end = tokenizer.eos_token_id
    texts = [row["text"] for row in rows if row["split"] == "heldout"]
    examples = [[end, *tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in texts]
    print(f"base     {perplexity(model, examples):.4f} over {len(examples)} texts")
    print(f"adapter  {perplexity(PeftModel.from_pretrained(model, adapter).eval(), examples):.4f}")


@torch.no_grad()
def perplexity(model, examples: list[list[int]]) -> float:
    nats = tokens = 0
    for example in examples:
        ids = torch.tensor([example])
        logits = model(input_ids=ids).logits[0, :-1]
        nats += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        tokens += len(example) - 1
    return math.exp(nats / tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
