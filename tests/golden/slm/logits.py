"""What transformers computes with the real SmolLM2-135M in float32: smollm2.json.
usage: logits.py FOLDER IN.gguf OUT.json      (made with transformers 5.23.0, torch 2.13.0, tokenizers 0.23.3)
FOLDER/hf is what training/examples/smollm2_prepare.py leaves. Holds two texts, their token ids, and the logits of all places
in every 997th column of the vocabulary."""
import json, sys
import torch, transformers
from gguf import GGUFReader
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM

folder, gguf, out = sys.argv[1:4]
TEXTS = [
    "The capital of France is Paris, and the oven in the kitchen is still hot: let the soup cool for 10 minutes.",
    "  Naïve café – 3½ µm,\n\ttabs\tand  blanks; def f(x): return x**2  # 漢字",
]
EVERY = 997
fields = GGUFReader(gguf).fields
tokens = fields["tokenizer.ggml.tokens"].contents()
merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(f"{folder}/hf", dtype=torch.float32, attn_implementation="eager").eval()
columns = list(range(0, len(tokens), EVERY))
texts = []
for text in TEXTS:
    ids = tokenizer.encode(text).ids
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0][:, columns]
    texts.append({"text": text, "ids": ids, "logits": [[float(f"{x:.7g}") for x in row] for row in logits.tolist()]})
engine = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32"
rows = ",\n".join(json.dumps(text, ensure_ascii=False) for text in texts)
with open(out, "w") as file:
    file.write(f'{{"engine": {json.dumps(engine)}, "columns": {json.dumps(columns)}, "texts": [\n{rows}\n]}}\n')
