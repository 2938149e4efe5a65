"""Loads a published adapter into PEFT, with warnings that concern it as errors, and measures held-out texts with it.

    check_peft.py BASE ADAPTER TALK.jsonl

Prints the perplexity over all predicted tokens of the rows whose split is `heldout`, without and with the adapter: the same
texts, tokens and definition as in the table that `headwater run` prints. Needs torch, transformers and peft:
datasets/recipes/slm-nano/requirements.txt names versions.
"""

import json
import math
import sys
import warnings


def strict() -> None:
    """Makes errors of warnings that concern the adapter, and of no other.

    What a library says of its own future (FutureWarning, DeprecationWarning) does not concern the adapter. What PEFT says to its
    users does, and so does whatever names an adapter, LoRA or keys of weights that are missing or unexpected.
    """
    for category in (UserWarning, RuntimeWarning):
        warnings.filterwarnings("error", category=category, module=r"peft(\.|$)")
        warnings.filterwarnings("error", category=category, message=r"(?is).*(adapter|\blora|(missing|unexpected).*keys)")


def main(base: str, adapter: str, talk: str) -> None:
    strict()
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    with open(talk, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    end = tokenizer.eos_token_id
    texts = [row["text"] for row in rows if row["split"] == "heldout"]
    examples = [[end, *tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in texts]
    print(f"base     {perplexity(torch, model, examples):.4f} over {len(examples)} texts")
    print(f"adapter  {perplexity(torch, PeftModel.from_pretrained(model, adapter).eval(), examples):.4f}")


def perplexity(torch, model, examples: list[list[int]]) -> float:
    nats = tokens = 0
    with torch.no_grad():
        for example in examples:
            ids = torch.tensor([example])
            logits = model(input_ids=ids).logits[0, :-1]
            nats += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
            tokens += len(example) - 1
    return math.exp(nats / tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
