"""Greedy transcription of one utterance by onnxruntime over the three graphs: the reference for golden numbers,
word error rates and benches.

In: 16 kHz mono samples in -1..1. Out: token ids, text and CPU seconds of each part. The log-mel spectrogram is written
out here in numpy, after Radford et al. 2022 and the published WhisperFeatureExtractor (golden.py compares the two).
"""
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

RATE = 16000
WINDOW, HOP, FULL = 400, 160, 480000  # samples: STFT window and hop, and the 30 s that Whisper was trained on
SAMPLES_PER_POSITION = 2 * HOP  # one encoder position: two frames


@dataclass
class Transcript:
    """What one utterance gave. Times are CPU seconds of this process."""

    ids: list
    text: str
    mel: float = 0.0
    encoder: float = 0.0
    cross: float = 0.0
    first: float = 0.0
    steps: list = field(default_factory=list)

    def total(self) -> float:
        return self.mel + self.encoder + self.cross + self.first + sum(self.steps)


def mel_filters(bins: int) -> np.ndarray:
    """Slaney's mel scale and area normalisation, 0 to 8 kHz: [bins, 201]."""

    def hertz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    top = 15 + math.log(8.0) * 27 / math.log(6.4)
    edges = hertz(np.linspace(0, top, bins + 2))
    frequencies = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    area = (2 / (edges[2:] - edges[:-2]))[:, None]
    return (np.maximum(0, np.minimum(rising, falling)) * area).astype(np.float32)


def log_mel(samples: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """[n] -> [bins, n / 160]. The floor is 8 (in log10 of power) below the loudest value of the clip given."""
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    count = (len(padded) - WINDOW) // HOP
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count]
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    logs = np.log10(np.maximum(filters @ power.T.astype(np.float32), 1e-10))
    return ((np.maximum(logs, logs.max() - 8) + 4) / 4).astype(np.float32)


def with_silence(samples: np.ndarray, seconds: float | None) -> np.ndarray:
    """The utterance and that much silence, to a whole encoder position; None: up to 30 s. Never above 30 s."""
    length = FULL
    if seconds is not None:
        wanted = len(samples) + int(seconds * RATE)
        length = min(FULL, math.ceil(wanted / SAMPLES_PER_POSITION) * SAMPLES_PER_POSITION)
    padded = np.zeros(length, np.float32)
    padded[: min(len(samples), length)] = samples[:length]
    return padded


def session(path: Path) -> onnxruntime.InferenceSession:
    """One thread; int8 weights are unpacked at load (otherwise they are unpacked again at every token)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Decoder:
    """A model folder of the three graphs, loaded."""

    def __init__(self, folder: Path):
        names = ("encoder_model", "cross_kv", "decoder_step")
        self.encoder, self.cross, self.step = (session(folder / f"{name}.onnx") for name in names)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.config = json.loads((folder / "config.json").read_text())
        self.generation = json.loads((folder / "generation_config.json").read_text())
        self.filters = mel_filters(self.config["num_mel_bins"])
        self.end = self.generation["eos_token_id"]
        self.prompt = self.start_of_transcript()
        self.mask, self.first_mask = self.masks()

    def start_of_transcript(self) -> list:
        start, plain = self.generation["decoder_start_token_id"], self.generation["no_timestamps_token_id"]
        if not self.generation["is_multilingual"]:
            return [start, plain]
        language = self.generation["lang_to_id"]["<|en|>"]
        return [start, language, self.generation["task_to_id"]["transcribe"], plain]

    def masks(self) -> tuple:
        """Added to the logits: suppressed tokens and all above end-of-text are out of the question."""
        mask = np.zeros(self.config["vocab_size"], np.float32)
        mask[self.generation["suppress_tokens"]] = -np.inf
        mask[self.end + 1 :] = -np.inf
        first = mask.copy()
        first[self.generation["begin_suppress_tokens"]] = -np.inf
        return mask, first

    def features(self, samples: np.ndarray, silence: float | None = None) -> np.ndarray:
        return log_mel(with_silence(samples, silence), self.filters)[None]

    def encode(self, features: np.ndarray) -> np.ndarray:
        return self.encoder.run(None, {"input_features": features})[0]

    def cache(self, states: np.ndarray) -> dict:
        """The step graph's inputs before the first token: cross keys and values, and an empty past."""
        names = [port.name.replace("present", "past_key_values") for port in self.cross.get_outputs()]
        feed = dict(zip(names, self.cross.run(None, {"encoder_hidden_states": states})))
        heads = self.config["decoder_attention_heads"]
        empty = np.zeros((1, heads, 0, self.config["d_model"] // heads), np.float32)
        return feed | {name.replace(".encoder.", ".decoder."): empty for name in names}

    def advance(self, feed: dict, ids: list) -> np.ndarray:
        """Logits [S, V] of the ids; the past in `feed` grows by them."""
        outputs = self.step.run(None, feed | {"input_ids": np.array([ids], np.int64)})
        for port, value in list(zip(self.step.get_outputs(), outputs))[1:]:
            feed[port.name.replace("present", "past_key_values")] = value
        return outputs[0][0]

    def transcribe(self, samples: np.ndarray, silence: float | None = None, limit: int = 220) -> Transcript:
        """Greedy, no timestamps, no fall-back; at most `limit` tokens."""
        ticks = [time.process_time()]
        features = self.features(samples, silence)
        ticks.append(time.process_time())
        states = self.encode(features)
        ticks.append(time.process_time())
        feed = self.cache(states)
        ticks.append(time.process_time())
        ids, durations, given, mask = [], [], self.prompt, self.first_mask
        while len(ids) < limit:
            start = time.process_time()
            token = int((self.advance(feed, given)[-1] + mask).argmax())
            durations.append(time.process_time() - start)
            if token == self.end:
                break
            ids.append(token)
            given, mask = [token], self.mask
        mel, encoder, cross = np.diff(ticks)
        text = self.tokenizer.decode(ids).strip()
        return Transcript(ids, text, mel, encoder, cross, durations[0], durations[1:])
