#!/usr/bin/env python3
"""Makes tests/golden/whisper/whisper-tiny.en/*.json: what onnxruntime computes with the model in the box.

    pip install -r requirements-golden.txt
    python golden.py --jfk FILE      # jfk.flac

Three inputs: one real recording, and two made of arithmetic alone (`INPUTS`), so that a test can build them. Each is
taken padded to 30 s and with one second of silence. The log-mel excerpts of the padded ones come from transformers'
WhisperFeatureExtractor; this program stops if its own log-mel differs from that by more than 1e-4.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
from transformers import WhisperFeatureExtractor

from onnx_decoder import RATE, Decoder, with_silence

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "whisper-tiny.en"
GOLDEN = HERE.parents[2] / "tests" / "golden" / "whisper" / "whisper-tiny.en"
FRAMES = [0, 1, 2, 57, 150, 310, 420]  # of the log-mel spectrogram, as far as the input has them
POSITIONS = [0, 1, 28, 75, 155, 210]  # of the encoder
WIDTH = 48  # dimensions kept of each encoder position
STEPS = 6  # rows of logits kept
TOKENS = [*range(0, 50257, 397), 50256, *range(50257, 50365)]


def tones(seconds: float) -> np.ndarray:
    """0.3 sin(2 pi 220 t) + 0.2 sin(2 pi 1760 t) (1 - t / seconds), t = n / 16000."""
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 1760 * t) * (1 - t / seconds)).astype(np.float32)


def bursts(seconds: float) -> np.ndarray:
    """Noise of a counter x -> (1103515245 x + 12345) mod 2^31 from 1, as x / 2^31 - 0.5 after each step, times 0.2 in
    every other quarter of a second (the first included) and times 0.002 elsewhere."""
    state, out = 1, np.empty(int(seconds * RATE))
    for n in range(len(out)):
        state = (1103515245 * state + 12345) % 2**31
        out[n] = (state / 2**31 - 0.5) * (0.2 if n // 4000 % 2 == 0 else 0.002)
    return out.astype(np.float32)


INPUTS = {"tones": (tones, 3.0), "bursts": (bursts, 4.2)}


def numbers(values: np.ndarray) -> list:
    return [float(f"{value:.7g}") for value in np.asarray(values, np.float64).ravel()]


def excerpts(decoder: Decoder, samples: np.ndarray, silence: float | None, features: np.ndarray) -> dict:
    """What flows through the model for one input: features are [1, mels, frames]."""
    states = decoder.encode(features)
    feed, given, mask, rows, ids = decoder.cache(states), decoder.prompt, decoder.first_mask, [], []
    while len(ids) < 220:
        logits = decoder.advance(feed, given)[-1]
        rows.append(logits)
        token = int((logits + mask).argmax())
        if token == decoder.end:
            break
        ids.append(token)
        given, mask = [token], decoder.mask
    frames = [at for at in FRAMES if at < features.shape[2]]
    positions = [at for at in POSITIONS if at < states.shape[1]]
    return {
        "silence_seconds": silence,
        "frames": features.shape[2],
        "log_mel": {str(at): numbers(features[0, :, at]) for at in frames},
        "encoder": {str(at): numbers(states[0, at, :WIDTH]) for at in positions},
        "logits": [numbers(row[TOKENS]) for row in rows[:STEPS]],
        "token_ids": ids,
        "text": decoder.tokenizer.decode(ids).strip(),
    }


def reference_features(samples: np.ndarray, own: np.ndarray) -> np.ndarray:
    extractor = WhisperFeatureExtractor(feature_size=own.shape[1])
    features = extractor(samples, sampling_rate=RATE, return_tensors="np").input_features.astype(np.float32)
    apart = float(np.abs(features - own).max())
    print(f"log-mel: {apart:.2e} from WhisperFeatureExtractor at most")
    if apart > 1e-4:
        raise SystemExit("log_mel of onnx_decoder.py is not Whisper's")
    return features


def golden(decoder: Decoder, samples: np.ndarray, described: str) -> dict:
    padded = reference_features(samples, decoder.features(samples))
    short = decoder.features(samples, 1.0)
    return {
        "input": described,
        "samples": len(samples),
        "samples_with_silence": len(with_silence(samples, 1.0)),
        "prompt": decoder.prompt,
        "log_mel_of": "frame -> all mel bands",
        "encoder_of": f"position -> the first {WIDTH} dimensions",
        "logits_of": "step (the first after the prompt) -> the logits of tokens; nothing is suppressed in them",
        "tokens": TOKENS,
        "runs": [excerpts(decoder, samples, None, padded), excerpts(decoder, samples, 1.0, short)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jfk", type=Path, required=True, help="the recording jfk.flac (16 kHz, mono)")
    options = parser.parse_args()
    jfk, rate = soundfile.read(options.jfk, dtype="float32")
    if rate != RATE:
        raise SystemExit(f"{options.jfk}: {rate} Hz, expected {RATE}")
    decoder = Decoder(MODEL)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    made = {"jfk": golden(decoder, jfk, "the recording jfk.flac")}
    for name, (make, seconds) in INPUTS.items():
        made[name] = golden(decoder, make(seconds), f"{seconds} s of: " + " ".join(make.__doc__.split()))
    for name, value in made.items():
        path = GOLDEN / f"{name}.json"
        path.write_text(json.dumps(value) + "\n")
        print(f"{path.stat().st_size / 1e3:6.1f} kB  {path.name}  {[run['text'] for run in value['runs']]}")


if __name__ == "__main__":
    main()
