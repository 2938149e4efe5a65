"""Golden token ids of hostile strings by llama.cpp.   usage: tokens.py SmolLM2-135M-Instruct.Q4_1.gguf OUT.json
Needs xllamacpp (made with 2026.10.11549), gguf (0.19.0). Special tokens are not parsed, none is added. For every
splitting rule the file is copied with another `tokenizer.ggml.pre`: same tokens, same merges, other splits."""
import json, subprocess, sys, tempfile, urllib.request
from pathlib import Path
import xllamacpp
from hostile import ALL

src, out = sys.argv[1], sys.argv[2]

def tokenize(path):
    p = xllamacpp.CommonParams()
    p.model.path = str(path)
    p.n_ctx = 256
    p.warmup = False
    p.cpuparams.n_threads = 1
    server = xllamacpp.Server(p)
    def one(text):
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        req = urllib.request.Request(server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(req))["tokens"]
    return [one(t) for t in ALL]

if len(sys.argv) > 3:  # one rule, in a process of its own
    Path(out).write_text(json.dumps(tokenize(src)))
    sys.exit()

result = {"made_by": "xllamacpp " + xllamacpp.__version__ if hasattr(xllamacpp, "__version__") else "xllamacpp 2026.10.11549", "texts": ALL, "ids": {}}
with tempfile.TemporaryDirectory() as d:
    for pre in ["smollm", "gpt-2", "default", "llama-bpe", "qwen2"]:
        path = src
        if pre != "smollm":
            path = f"{d}/m.gguf"
            subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--force", "--pre-tokenizer", pre, src, path], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, __file__, path, f"{d}/ids.json", pre], check=True, stdout=subprocess.DEVNULL)
        result["ids"][pre] = json.loads(Path(f"{d}/ids.json").read_text())
lines = ",\n".join(json.dumps({"text": t, **{k: v[i] for k, v in result["ids"].items()}}) for i, t in enumerate(ALL))
Path(out).write_text('{"made_by": %s, "cases": [\n%s\n]}\n' % (json.dumps(result["made_by"]), lines))
