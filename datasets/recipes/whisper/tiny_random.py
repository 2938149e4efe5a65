#!/usr/bin/env python3
"""Makes tests/golden/whisper/tiny-random-*: Whispers of random weights as users export them, with golden numbers.

    pip install -r requirements-golden.txt
    python tiny_random.py            # writes the folders anew

One multilingual model (two layers, width 16, 317 tokens) in the layouts and number types of optimum and of the hub's
ONNX repositories; they test the reader of users' exports, which must find the same numbers in each. Each folder holds
golden.json (see `golden` below). The weights come from a fixed seed; a second run with the pinned versions gives the
same numbers, though not always the same ONNX bytes (the exporter names nodes as it likes).
"""
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from optimum.exporters.onnx import main_export
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from exported_decoder import Exported

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parents[2] / "tests" / "golden" / "whisper"
SEED = 3
WIDTH, LAYERS, HEADS, INNER, FRAMES = 16, 2, 2, 32, 3000
TEXTS = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>",
           "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
TIMES = [f"<|{n * 0.02:.2f}|>" for n in range(51)]
# Any fixed tokens would do: the steps after the prompt are forced, not chosen.
FORCED = [72, 101, 108, 111, 32, 9]


def tokenizer() -> Tokenizer:
    """Byte-level BPE without merges: 256 text tokens, then the special ones in Whisper's order."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={piece: n for n, piece in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    made.add_tokens([AddedToken(name, special=False, normalized=False) for name in TIMES])
    return made


def checkpoint(folder: Path) -> None:
    """A Hugging Face checkpoint. Weights are larger than the usual initialisation, so that logits spread."""
    words, end = tokenizer(), 256
    ids = {name: words.token_to_id(name) for name in SPECIAL}
    config = WhisperConfig(
        vocab_size=words.get_vocab_size(), num_mel_bins=80, d_model=WIDTH,
        encoder_layers=LAYERS, decoder_layers=LAYERS, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=INNER, decoder_ffn_dim=INNER, max_source_positions=FRAMES // 2, max_target_positions=64,
        pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=end + 1,
        suppress_tokens=None, begin_suppress_tokens=[32, end],
    )
    torch.manual_seed(SEED)
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() >= 2:
                value.mul_(8.0 if "embed" in name else 10.0)
            elif "layer_norm" in name and name.endswith("weight"):
                value.add_(torch.randn_like(value) * 0.1)
            else:
                value.add_(torch.randn_like(value) * 0.1)
    model.generation_config = GenerationConfig(
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=end + 1, max_length=64,
        begin_suppress_tokens=[32, end], suppress_tokens=[1, 2, 7], is_multilingual=True,
        no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        lang_to_id={"<|en|>": ids["<|en|>"], "<|de|>": ids["<|de|>"]},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        max_initial_timestamp_index=50, return_timestamps=False,
    )
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))


def export(source: Path, to: Path, merged: bool, opset: int) -> None:
    main_export(
        str(source), output=str(to), task="automatic-speech-recognition-with-past", opset=opset, do_validation=False,
        no_post_process=not merged, device="cpu", library_name="transformers", framework="pt",
    )
    extra = ("decoder_model.onnx", "decoder_with_past_model.onnx") if merged else ("decoder_model_merged.onnx",)
    for name in extra:
        (to / name).unlink(missing_ok=True)


def to_float16(source: Path, to: Path, keep_io: bool) -> None:
    """With float32 ports (keep_io) or float16 ones, both of which are found in the wild."""
    model = convert_float_to_float16(onnx.load(source), keep_io_types=keep_io, disable_shape_infer=True)
    onnx.save(model, to)


def to_int8(source: Path, to: Path) -> None:
    """As the hub's `_quantized` files: uint8 weights where there are convolutions, else int8; subgraphs too."""
    convolutions = any(node.op_type == "Conv" for node in onnx.load(source).graph.node)
    quantize_dynamic(
        source, to, weight_type=QuantType.QUInt8 if convolutions else QuantType.QInt8,
        extra_options={"EnableSubgraph": True},
    )


def constants(graph: onnx.GraphProto):
    """Every initialiser of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from constants(attribute.g)


def weights_only(quantised: Path, plain: Path, to: Path) -> None:
    """The plain model with each weight replaced by what its int8 code stands for: what a reader that unpacks the
    weights at load computes. (onnxruntime itself rounds the activations to int8 as well.)"""
    codes = {value.name: numpy_helper.to_array(value) for value in constants(onnx.load(quantised).graph)}
    model, replaced = onnx.load(plain), 0
    for value in constants(model.graph):
        if f"{value.name}_quantized" in codes:
            code, scale, zero = (codes[f"{value.name}_{part}"] for part in ("quantized", "scale", "zero_point"))
            real = (code.astype(np.float32) - zero.astype(np.float32)) * scale
            value.CopyFrom(numpy_helper.from_array(real.astype(np.float32), value.name))
            replaced += 1
    quantised_weights = sum(1 for name in codes if name.endswith("_quantized"))
    if replaced != quantised_weights:
        raise SystemExit(f"{quantised}: {quantised_weights} int8 weights, {replaced} of them found in {plain}")
    onnx.save(model, to)


def features() -> np.ndarray:
    """[1, 80, 3000]: ((37 m + 11 t + (m t mod 13)) mod 101) / 50.5 - 1, exact in any language."""
    mel, time = np.meshgrid(np.arange(80), np.arange(FRAMES), indexing="ij")
    return (((37 * mel + 11 * time + (mel * time) % 13) % 101) / 50.5 - 1).astype(np.float32)[None]


def numbers(values: np.ndarray) -> list:
    return [float(f"{value:.7g}") for value in np.asarray(values, np.float64).ravel()]


def golden(folder: Path, engine: str) -> dict:
    """What flows out of one export: four encoder positions in full; the logits of the prompt's last token and of each
    forced token after it, for the first 64, the special and every eighth token; and the best token of each step."""
    exported = Exported(folder)
    states, logits = exported.run(features(), [257, 258, 261, 265], FORCED)
    positions = [0, 1, 700, 1499]
    kept = [*range(64), *range(64, 256, 8), *range(256, 317)]
    return {
        "engine": engine,
        "encoder": {str(at): numbers(states[0, at]) for at in positions},
        "tokens": kept,
        "logits": [numbers(row[kept]) for row in logits],
        "best": [int(row.argmax()) for row in logits],
    }


HEADER = {
    "features": "[80, 3000]: ((37 m + 11 t + (m t mod 13)) mod 101) / 50.5 - 1 for mel band m, frame t",
    "prompt": [257, 258, 261, 265],
    "forced": FORCED,
}


def folder_of(name: str, texts: Path) -> Path:
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for text in TEXTS:
        shutil.copy(texts / text, folder)
    return folder


def keep(folder: Path, **engines: dict) -> None:
    (folder / "golden.json").write_text(json.dumps(HEADER | engines) + "\n")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{size / 1e3:8.1f} kB  {folder.name}")


def variants(work: Path, layout: str) -> None:
    plain = work / layout
    stems = sorted(path.stem for path in plain.glob("*.onnx"))
    folder = folder_of(f"tiny-random-{layout}", plain)
    for stem in stems:
        shutil.copy(plain / f"{stem}.onnx", folder)
    keep(folder, onnxruntime=golden(folder, "onnxruntime, float32"))

    folder = folder_of(f"tiny-random-{layout}-f16", plain)
    (folder / "onnx").mkdir()
    for stem in stems:
        to_float16(plain / f"{stem}.onnx", folder / "onnx" / f"{stem}_fp16.onnx", keep_io=layout == "split")
    keep(folder, onnxruntime=golden(folder, "onnxruntime, float16"))

    folder, unpacked = folder_of(f"tiny-random-{layout}-int8", plain), work / f"{layout}-unpacked"
    (folder / "onnx").mkdir()
    unpacked.mkdir()
    for stem in stems:
        quantised = folder / "onnx" / f"{stem}_quantized.onnx"
        to_int8(plain / f"{stem}.onnx", quantised)
        weights_only(quantised, plain / f"{stem}.onnx", unpacked / f"{stem}.onnx")
    keep(
        folder,
        onnxruntime=golden(folder, "onnxruntime, weights and activations in int8"),
        weights_only=golden(unpacked, "onnxruntime, float32 over the weights that the int8 codes stand for"),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        checkpoint(work / "checkpoint")
        export(work / "checkpoint", work / "merged", merged=True, opset=18)
        export(work / "checkpoint", work / "split", merged=False, opset=14)
        for layout in ("merged", "split"):
            for text in TEXTS:
                if not (work / layout / text).exists():
                    shutil.copy(work / "checkpoint" / text, work / layout)
            variants(work, layout)


if __name__ == "__main__":
    main()
