#!/usr/bin/env python3
"""Transcribes recordings with onnxruntime, padded to 30 s, and writes `file TAB reference TAB recognised` lines.

    pip install numpy onnxruntime tokenizers soundfile      # the versions of requirements-golden.txt
    python score.py --model FOLDER --manifest datasets/voice/manifest.toml --only clean > lines.tsv
    cargo run -p headwater-datasets --example word_errors < lines.tsv

A manifest is a manifest.toml of recordings (file, text, clean), or a table with the columns file and text.
Resampling is by linear phase in the frequency domain of the whole clip: fine for a score, not for a stream.
"""
import argparse
import csv
import sys
import tomllib
from pathlib import Path

import numpy as np
import soundfile

from onnx_decoder import RATE, Decoder


def recordings(manifest: Path, only: str) -> list:
    """(file, text) of the recordings with a text; `only` is all or clean."""
    if manifest.suffix != ".toml":
        with manifest.open(newline="") as lines:
            return [(row["file"], row["text"]) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    rows = tomllib.loads(manifest.read_text())["recording"]
    return [(row["file"], row["text"]) for row in rows if row["text"] and (only == "all" or row["clean"])]


def samples(path: Path) -> np.ndarray:
    """Mono, 16 kHz."""
    data, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = data.mean(axis=1)
    if rate == RATE:
        return mono
    length = round(len(mono) * RATE / rate)
    spectrum = np.zeros(length // 2 + 1, np.complex128)
    source = np.fft.rfft(mono)[: len(spectrum)]
    spectrum[: len(source)] = source
    return (np.fft.irfft(spectrum, length) * length / len(mono)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--only", choices=("all", "clean"), default="all")
    options = parser.parse_args()
    decoder = Decoder(options.model)
    for file, text in recordings(options.manifest, options.only):
        found = decoder.transcribe(samples(options.manifest.parent / file))
        print(file, text, found.text.replace("\t", " ").replace("\n", " "), sep="\t")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
