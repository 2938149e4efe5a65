"""CTranslate2's Whisper in, tensors by Hugging Face's names out.

In: the bytes of model.bin (binary format version 6, specification WhisperSpec). Out: a dict from the names of
transformers' WhisperForConditionalGeneration to float32 arrays, and the head counts, which no shape tells.
The output projection is tied to the token embedding and therefore absent, as in Hugging Face's own files.
Must not know ONNX.
"""
import struct
from dataclasses import dataclass

import numpy as np

DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


@dataclass
class Weights:
    """All of a Whisper's tensors in float32, by Hugging Face's names."""

    tensors: dict
    encoder_heads: int
    decoder_heads: int


class Reader:
    """Little-endian fields, front to back."""

    def __init__(self, data: bytes):
        self.data, self.at = memoryview(data), 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        """A u16 length that counts the closing NUL, the bytes, the NUL."""
        length = self.number("H")
        value = bytes(self.data[self.at : self.at + length - 1]).decode()
        self.at += length
        return value

    def tensor(self) -> np.ndarray:
        """A u8 rank, that many u32 dimensions, a u8 type, a u32 count of bytes, the bytes."""
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind, size = self.number("B"), self.number("I")
        value = np.frombuffer(self.data[self.at : self.at + size], DTYPES[kind]).reshape(shape)
        self.at += size
        return value


def read(data: bytes) -> Weights:
    """Reads model.bin whole; any surprise ends the recipe with what was found."""
    reader = Reader(data)
    version, name, _revision = reader.number("I"), reader.text(), reader.number("I")
    if (version, name) != (6, "WhisperSpec"):
        raise SystemExit(f"model.bin: version {version} of {name}, expected version 6 of WhisperSpec")
    variables = {}
    for _ in range(reader.number("I")):
        key = reader.text()
        variables[key] = reader.tensor()
    for _ in range(reader.number("I")):
        alias = reader.text()
        variables[alias] = variables[reader.text()]
    if reader.at != len(data):
        raise SystemExit(f"model.bin: {len(data) - reader.at} bytes after the last field")
    scales = [key for key in variables if key.endswith("weight_scale")]
    if scales:
        raise SystemExit(f"model.bin: quantised already ({scales[0]}); this recipe wants float weights")
    return Weights(
        tensors={key: value.astype(np.float32) for key, value in rename(variables).items()},
        encoder_heads=int(variables["encoder/num_heads"]),
        decoder_heads=int(variables["decoder/num_heads"]),
    )


def rename(variables: dict) -> dict:
    """CTranslate2's names to Hugging Face's; fused projections are split."""
    out = {}
    for side in ("encoder", "decoder"):
        model = f"model.{side}"
        layer = 0
        while f"{side}/layer_{layer}/ffn/linear_0/weight" in variables:
            block(out, variables, f"{model}.layers.{layer}", f"{side}/layer_{layer}")
            layer += 1
        norm(out, variables, f"{model}.layer_norm", f"{side}/layer_norm")
        out[f"{model}.embed_positions.weight"] = variables[f"{side}/position_encodings/encodings"]
    for conv in ("conv1", "conv2"):
        linear(out, variables, f"model.encoder.{conv}", f"encoder/{conv}")
    out["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    return out


def block(out: dict, variables: dict, to: str, source: str) -> None:
    norm(out, variables, f"{to}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
    split(out, variables, f"{to}.self_attn", f"{source}/self_attention/linear_0", ["q_proj", "k_proj", "v_proj"])
    linear(out, variables, f"{to}.self_attn.out_proj", f"{source}/self_attention/linear_1")
    if f"{source}/attention/linear_0/weight" in variables:
        norm(out, variables, f"{to}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
        split(out, variables, f"{to}.encoder_attn", f"{source}/attention/linear_0", ["q_proj"])
        split(out, variables, f"{to}.encoder_attn", f"{source}/attention/linear_1", ["k_proj", "v_proj"])
        linear(out, variables, f"{to}.encoder_attn.out_proj", f"{source}/attention/linear_2")
    norm(out, variables, f"{to}.final_layer_norm", f"{source}/ffn/layer_norm")
    linear(out, variables, f"{to}.fc1", f"{source}/ffn/linear_0")
    linear(out, variables, f"{to}.fc2", f"{source}/ffn/linear_1")


def linear(out: dict, variables: dict, to: str, source: str) -> None:
    out[f"{to}.weight"], out[f"{to}.bias"] = variables[f"{source}/weight"], variables[f"{source}/bias"]


def norm(out: dict, variables: dict, to: str, source: str) -> None:
    out[f"{to}.weight"], out[f"{to}.bias"] = variables[f"{source}/gamma"], variables[f"{source}/beta"]


def split(out: dict, variables: dict, to: str, source: str, names: list) -> None:
    """One fused projection into its parts. Whisper's keys have no bias; CTranslate2 stores zeros for it."""
    weights = np.split(variables[f"{source}/weight"], len(names))
    biases = np.split(variables[f"{source}/bias"], len(names))
    for name, weight, bias in zip(names, weights, biases):
        out[f"{to}.{name}.weight"] = weight
        if name != "k_proj":
            out[f"{to}.{name}.bias"] = bias
        elif bias.any():
            raise SystemExit(f"{source}: the key projection has a bias, which Whisper's has not")
