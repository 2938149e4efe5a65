"""A Hugging Face Whisper folder in (model.safetensors and its JSON files), texts and float32 tensors out."""
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

REQUIRED = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")
OPTIONAL = ("tokenizer_config.json",)


def read(folder: Path) -> tuple[dict, dict]:
    """File name -> bytes of the JSON files; tensor name -> float32 array. The tied projection is left out."""
    missing = [name for name in (*REQUIRED, "model.safetensors") if not (folder / name).exists()]
    if missing:
        raise SystemExit(f"{folder}: no {', '.join(missing)}; expected a Hugging Face Whisper folder")
    texts = {name: (folder / name).read_bytes() for name in REQUIRED}
    texts |= {name: (folder / name).read_bytes() for name in OPTIONAL if (folder / name).exists()}
    kind = json.loads(texts["config.json"]).get("model_type")
    if kind != "whisper":
        raise SystemExit(f"{folder}/config.json: model_type is {kind!r}, expected 'whisper'")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("proj_out.weight", None)
    return texts, {name: value.astype(np.float32) for name, value in tensors.items()}
