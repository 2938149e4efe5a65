"""The JSON files of a Hugging Face Whisper folder, derived from tensors, tokenizer and CTranslate2's config.

In: weights, the parsed tokenizer.json, the parsed config.json of the CTranslate2 conversion (its suppressed tokens
and alignment heads only: its language ids are off by one in English-only conversions). Out: file name -> JSON value.
"""
from published_weights import Weights

ENGLISH_ONLY_VOCABULARY = 51864  # multilingual models have at least one token more, and all special ids one higher


def files(weights: Weights, conversion: dict, tokenizer: dict) -> dict:
    """config.json, generation_config.json, preprocessor_config.json and tokenizer_config.json."""
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    end = ids["<|endoftext|>"]
    tokens = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "suppress_tokens": conversion["suppress_ids"],
        "begin_suppress_tokens": conversion["suppress_ids_begin"],
    }
    return {
        "config.json": model(weights, tokens),
        "generation_config.json": generation(weights, conversion, ids, tokens),
        "preprocessor_config.json": preprocessor(weights),
        "tokenizer_config.json": tokenizer_class(),
    }


def layers(tensors: dict, side: str) -> int:
    return sum(1 for key in tensors if key.startswith(f"model.{side}.layers.") and key.endswith(".fc1.weight"))


def model(weights: Weights, tokens: dict) -> dict:
    tensors = weights.tensors
    vocabulary, width = tensors["model.decoder.embed_tokens.weight"].shape
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": vocabulary,
        "num_mel_bins": tensors["model.encoder.conv1.weight"].shape[1],
        "d_model": width,
        "encoder_layers": layers(tensors, "encoder"),
        "encoder_attention_heads": weights.encoder_heads,
        "encoder_ffn_dim": tensors["model.encoder.layers.0.fc1.weight"].shape[0],
        "decoder_layers": layers(tensors, "decoder"),
        "decoder_attention_heads": weights.decoder_heads,
        "decoder_ffn_dim": tensors["model.decoder.layers.0.fc1.weight"].shape[0],
        "num_hidden_layers": layers(tensors, "encoder"),
        "max_source_positions": tensors["model.encoder.embed_positions.weight"].shape[0],
        "max_target_positions": tensors["model.decoder.embed_positions.weight"].shape[0],
        "max_length": 448,
        "activation_function": "gelu",
        "scale_embedding": False,
        "is_encoder_decoder": True,
        "use_cache": True,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "init_std": 0.02,
        "torch_dtype": "float32",
        **tokens,
    }


def generation(weights: Weights, conversion: dict, ids: dict, tokens: dict) -> dict:
    multilingual = weights.tensors["model.decoder.embed_tokens.weight"].shape[0] > ENGLISH_ONLY_VOCABULARY
    out = {
        **tokens,
        "is_multilingual": multilingual,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "max_length": 448,
        "max_initial_timestamp_index": 50,
        "return_timestamps": False,
        "alignment_heads": conversion["alignment_heads"],
        "forced_decoder_ids": None if multilingual else [[1, ids["<|notimestamps|>"]]],
    }
    if multilingual:
        start, translate = ids["<|startoftranscript|>"], ids["<|translate|>"]
        out["lang_to_id"] = {name: number for name, number in ids.items() if start < number < translate}
        out["task_to_id"] = {"transcribe": ids["<|transcribe|>"], "translate": translate}
    return out


def preprocessor(weights: Weights) -> dict:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": weights.tensors["model.encoder.conv1.weight"].shape[1],
        "sampling_rate": 16000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "n_samples": 480000,
        "nb_max_frames": 3000,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def tokenizer_class() -> dict:
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "add_prefix_space": False,
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 1024,
    }
