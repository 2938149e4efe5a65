"""Samples in, a file out, in one of the formats that the set shows. The names are those of sentences.toml."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.io import wavfile


@dataclass(frozen=True)
class Format:
    suffix: str
    subtype: str
    rate: int = 16_000
    channels: int = 1


FORMATS = {
    "flac": Format("flac", "PCM_16"),
    "flac-8k": Format("flac", "PCM_16", 8_000),
    "flac-22k": Format("flac", "PCM_16", 22_050),
    "flac-24": Format("flac", "PCM_24"),
    "flac-44k": Format("flac", "PCM_16", 44_100),
    "flac-stereo": Format("flac", "PCM_16", 16_000, 2),
    "flac-44k-stereo": Format("flac", "PCM_16", 44_100, 2),
    "wav-8": Format("wav", "PCM_U8"),
    "wav-16": Format("wav", "PCM_16"),
    "wav-24": Format("wav", "PCM_24"),
    "wav-32": Format("wav", "PCM_32"),
    "wav-float": Format("wav", "FLOAT"),
    "ogg": Format("ogg", "VORBIS"),
    "ogg-44k-stereo": Format("ogg", "VORBIS", 44_100, 2),
    "mp3": Format("mp3", "MPEG_LAYER_III"),
    "mp3-8k": Format("mp3", "MPEG_LAYER_III", 8_000),
    "mp3-44k-stereo": Format("mp3", "MPEG_LAYER_III", 44_100, 2),
}
RIGHT = 0.6  # the right channel of a stereo file is quieter: the speaker stands to the left


def write(path: Path, samples: np.ndarray, form: Format) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = samples.astype(np.float64)
    if form.channels == 2:
        samples = np.stack([samples, RIGHT * samples], axis=1)
    if form.subtype == "FLOAT":
        # libsndfile would add a chunk with the time of writing.
        wavfile.write(path, form.rate, samples.astype(np.float32))
        return
    level = {"compression_level": 1.0} if form.suffix == "flac" else {}
    soundfile.write(path, samples, form.rate, subtype=form.subtype, format=form.suffix.upper(), **level)
