#!/usr/bin/env python3
"""Makes tests/golden/ner/*: taggers of random weights as users export them, with onnxruntime's numbers.

    pip install -r requirements.txt
    python tiny_random.py            # writes the folders anew

A BERT and a DistilBERT (two layers, width 16, 64 positions) for token classification, exported by optimum, with one WordPiece
tokenizer. The weights come from a fixed seed, large enough that labels differ from token to token. Each folder holds golden.json: for
some texts the tokens with their byte offsets and the logits of each. A second run with the pinned versions gives the same numbers,
though not always the same ONNX bytes.
"""
import json
import shutil
import string
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from optimum.exporters.onnx import main_export
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForTokenClassification,
    PreTrainedTokenizerFast,
)

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "golden" / "ner"
SEED = 11
LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
WORDS = "my name is anna schmidt i live in berlin and work for harbour tools call me at noon ##s ##er ##ing ##mann".split()
TEXTS = [
    "My name is Anna Schmidt.",
    "I live in Berlin and work for Harbour Tools.",
    "Zoë Łukasiewicz called; she's at the café.",
    "",
    "noon",
    "call me at noon " * 12,
]


def tokenizer() -> Tokenizer:
    """WordPiece over a few words, single characters and their continuations."""
    characters = string.ascii_lowercase + string.digits + ".,;'"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *characters, *("##" + c for c in string.ascii_lowercase)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair=None, special_tokens=special)
    return made


def model(kind: str, vocabulary: int):
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {label: n for n, label in enumerate(LABELS)}}
    torch.manual_seed(SEED)
    if kind == "bert":
        made = BertForTokenClassification(
            BertConfig(
                vocab_size=vocabulary, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=32, max_position_embeddings=64, initializer_range=0.7, **labels,
            )
        )
    else:
        made = DistilBertForTokenClassification(
            DistilBertConfig(
                vocab_size=vocabulary, dim=16, n_layers=2, n_heads=2, hidden_dim=32,
                max_position_embeddings=64, initializer_range=0.7, **labels,
            )
        )
    return made.eval()


def golden(folder: Path, tokens: Tokenizer) -> list:
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    wanted = [given.name for given in session.get_inputs()]
    found = []
    for text in TEXTS:
        text = text.strip()
        encoded = tokens.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)[:, :64]
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        logits = session.run(["logits"], {name: given[name] for name in wanted})[0][0]
        at = np.cumsum([0] + [len(c.encode()) for c in text])
        offsets = [[int(at[a]), int(at[b])] for a, b in encoded.offsets[:64]]
        rows = [[round(float(value), 6) for value in row] for row in logits]
        found.append({"text": text, "ids": ids[0].tolist(), "offsets": offsets, "logits": rows})
    return found


def main() -> None:
    tokens = tokenizer()
    for kind in ("bert", "distilbert"):
        folder = GOLDEN / f"tiny-random-{kind}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as place:
            made = model(kind, tokens.get_vocab_size())
            made.save_pretrained(place)
            PreTrainedTokenizerFast(
                tokenizer_object=tokens, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
            ).save_pretrained(place)
            out = Path(place) / "out"
            main_export(place, output=out, task="token-classification", do_validation=False)
            for name in ("config.json", "tokenizer.json", "model.onnx"):
                shutil.copy(out / name, folder / name)
        config = json.loads((folder / "config.json").read_text())
        config.pop("_name_or_path", None)
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (folder / "golden.json").write_text(json.dumps(golden(folder, tokens)) + "\n")
        print(folder.name, sorted(p.name for p in folder.iterdir()), (folder / "model.onnx").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
