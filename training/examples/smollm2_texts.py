"""Talk of some devices, tokenised for the benches. Usage: smollm2_texts.py IN.gguf FOLDER_OF_JSONL OUT.json DEVICE...

Each sentence is <|im_start|>, the text, <|im_end|>. Needs gguf and tokenizers.
"""
import json, sys
from gguf import GGUFReader
from tokenizers import Tokenizer, models, pre_tokenizers

source, folder, out, *devices = sys.argv[1:]
fields = GGUFReader(source).fields
tokens = fields["tokenizer.ggml.tokens"].contents()
merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False)])
assert (tokens[1], tokens[2]) == ("<|im_start|>", "<|im_end|>")
rows = {device: {"train": [], "heldout": []} for device in devices}
for split in ("train", "heldout"):
    for line in open(f"{folder}/{split}.jsonl"):
        row = json.loads(line)
        if row["device"] in rows:
            rows[row["device"]][split].append([1] + tokenizer.encode(row["text"]).ids + [2])
json.dump(rows, open(out, "w"))
for device, parts in rows.items():
    print(device, {split: (len(texts), sum(map(len, texts))) for split, texts in parts.items()})
