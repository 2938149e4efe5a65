#!/usr/bin/env python3
"""Makes tokenizer.json and tokenizer_config.json of slm-nano from text.tmp/train.txt: byte-level BPE of 2048 tokens.

Any text becomes tokens and the same text again: 256 bytes, one special token <|endoftext|> (id 0; begin, end and
padding), and 1791 merges learnt from the base text alone. No special token is added by itself. A second run gives the
same bytes.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).resolve().parent
TEXT = HERE / "text.tmp" / "train.txt"
MODEL = HERE.parents[1] / "models" / "slm-nano"
TOKENS = 2048
END = "<|endoftext|>"
CONTEXT = 256


def trained(text: Path) -> Tokenizer:
    """The base text in, a tokenizer out."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train([str(text)], trainer)
    if made.get_vocab_size() != TOKENS or made.token_to_id(END) != 0:
        raise SystemExit(f"the tokenizer has {made.get_vocab_size()} tokens, not {TOKENS}")
    return made


def described() -> dict:
    """What transformers reads to load it."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
    }


def main() -> None:
    MODEL.mkdir(parents=True, exist_ok=True)
    trained(TEXT).save(str(MODEL / "tokenizer.json"))
    (MODEL / "tokenizer_config.json").write_text(json.dumps(described(), indent=2) + "\n")


if __name__ == "__main__":
    main()
