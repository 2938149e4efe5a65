"""Speech in, a plausible recording out: trimmed, levelled, with pauses around it and a room's noise below it."""

import numpy as np
from scipy.signal import lfilter, resample_poly

SPEECH_RMS = -26.0  # dBFS, +-3 dB from take to take
PEAK = -3.0  # dBFS, never exceeded
UNDER_SPEECH = -50.0  # dBFS of a noise under speech: about 24 dB below it
ALONE = -46.0  # dBFS of a noise with nothing over it


def amplitude(decibels: float) -> float:
    return 10 ** (decibels / 20)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def resampled(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    divisor = np.gcd(rate, to)
    return resample_poly(samples.astype(np.float64), to // divisor, rate // divisor) if rate != to else samples


def spoken(samples: np.ndarray, rate: int, take) -> np.ndarray:
    """The speech of a take between 0.2 and 0.5 s of pause on each side, with the take's noise under all of it."""
    pick = take.random("shape")
    speech = _levelled(_trimmed(samples, rate), SPEECH_RMS + pick.uniform(-3, 3))
    before, after = (np.zeros(round(pick.uniform(0.2, 0.5) * rate)) for _ in range(2))
    whole = np.concatenate([before, speech, after])
    return whole + noise(take.noise, len(whole), rate, take.seed("noise")) * amplitude(UNDER_SPEECH)


def unspoken(rate: int, take) -> np.ndarray:
    return noise(take.noise, round(take.seconds * rate), rate, take.seed("noise")) * amplitude(ALONE)


def _trimmed(samples: np.ndarray, rate: int) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > amplitude(-40) * np.abs(samples).max())
    margin = round(0.03 * rate)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def _levelled(samples: np.ndarray, decibels: float) -> np.ndarray:
    gain = amplitude(decibels) / rms(samples)
    return samples * min(gain, amplitude(PEAK) / np.abs(samples).max())


def noise(kind: str, length: int, rate: int, seed: int) -> np.ndarray:
    """Noise of RMS 1, except "room" (a quarter of it) and "none" and "silence" (zeros)."""
    draw = np.random.default_rng(seed)
    time = np.arange(length) / rate
    white = draw.standard_normal(length)
    if kind in ("none", "silence"):
        return np.zeros(length)
    if kind == "fan":
        shaped = _dark(white)
    elif kind == "hum":
        shaped = _mains(time, 60) + 0.2 * _dark(white)
    elif kind == "machine":
        shaped = _dark(white) * (1 + 0.4 * np.sin(2 * np.pi * 1.7 * time)) + 0.5 * _mains(time, 145)
    elif kind == "room":
        return 0.25 * white / rms(white)
    elif kind == "clock":
        shaped = _ticks(time) + 0.05 * white
    else:
        raise SystemExit(f"unknown noise {kind!r}")
    return shaped / rms(shaped)


def _dark(white: np.ndarray) -> np.ndarray:
    shaped = lfilter([1], [1, -0.95], white)
    return shaped / rms(shaped)


def _mains(time: np.ndarray, hertz: float) -> np.ndarray:
    tone = sum(np.sin(2 * np.pi * hertz * n * time + n) / n for n in (1, 2, 3, 5))
    return tone / rms(tone)


def _ticks(time: np.ndarray) -> np.ndarray:
    since = (time + 0.2) % 0.5
    return np.exp(-since / 0.004) * np.sin(2 * np.pi * 2400 * since) * 20
