"""Runs an optimum export (merged, or decoder and decoder_with_past) in onnxruntime with forced tokens.

In: a folder, features, a prompt and the tokens after it. Out: encoder states and one row of logits for the prompt's
last token and for each forced token. Float16 ports are fed float16; results come back as float32.
"""
from pathlib import Path

import numpy as np
import onnxruntime


class Exported:
    """One export, loaded; names may end in _fp16 or _quantized and stand in onnx/."""

    def __init__(self, folder: Path):
        files = {path.stem: path for path in folder.rglob("*.onnx")}
        self.encoder = self.session(files, "encoder_model")
        if any(stem.startswith("decoder_model_merged") for stem in files):
            self.first = self.next = self.session(files, "decoder_model_merged")
        else:
            self.first, self.next = self.session(files, "decoder_model"), self.session(files, "decoder_with_past_model")

    @staticmethod
    def session(files: dict, stem: str) -> onnxruntime.InferenceSession:
        path = next(files[name] for name in (stem, f"{stem}_fp16", f"{stem}_quantized") if name in files)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, features: np.ndarray, prompt: list, forced: list) -> tuple:
        states = self.call(self.encoder, {"input_features": features})["last_hidden_state"]
        outputs = self.call(self.first, self.feed(self.first, prompt, states, None))
        rows, past = [outputs["logits"][0, -1]], self.past(outputs)
        for token in forced:
            outputs = self.call(self.next, self.feed(self.next, [token], states, past))
            rows.append(outputs["logits"][0, -1])
            past |= {name: value for name, value in self.past(outputs).items() if ".decoder." in name}
        return states.astype(np.float32), [row.astype(np.float32) for row in rows]

    @staticmethod
    def past(outputs: dict) -> dict:
        return {k.replace("present", "past_key_values"): v for k, v in outputs.items() if k.startswith("present")}

    @staticmethod
    def feed(session: onnxruntime.InferenceSession, ids: list, states: np.ndarray, past: dict | None) -> dict:
        feed = {"input_ids": np.array([ids], np.int64), "encoder_hidden_states": states}
        feed["use_cache_branch"] = np.array([past is not None])
        for port in session.get_inputs():
            if port.name.startswith("past_key_values"):
                empty = np.zeros((1, port.shape[1], 0, port.shape[3]), np.float32)
                feed[port.name] = empty if past is None else past[port.name]
        return feed

    @staticmethod
    def call(session: onnxruntime.InferenceSession, feed: dict) -> dict:
        """Only the ports that the graph has, in the number type that it wants."""
        given = {}
        for port in session.get_inputs():
            value = feed[port.name]
            given[port.name] = value.astype(np.float16) if port.type == "tensor(float16)" else value
        for port in session.get_inputs():
            if port.type == "tensor(float)":
                given[port.name] = given[port.name].astype(np.float32)
        names = [port.name for port in session.get_outputs()]
        return dict(zip(names, session.run(names, given)))
