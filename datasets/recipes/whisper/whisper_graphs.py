"""Whisper as three ONNX graphs, with optimum's names for what flows in and out.

    encoder_model  input_features [B, mels, T]        -> last_hidden_state [B, T/2, D]            (T even, T/2 <= 1500)
    cross_kv       encoder_hidden_states [B, E, D]    -> present.N.encoder.{key,value} [B, H, E, D/H]
    decoder_step   input_ids [B, S], past_key_values.N.decoder.{key,value} [B, H, P, D/H] (P may be 0),
                   past_key_values.N.encoder.{key,value} [B, H, E, D/H]
                                                      -> logits [B, S, V], present.N.decoder.{key,value} [B, H, P+S, D/H]

One decoder graph serves prompt and single tokens alike, since P and S are both free. Attention over the encoder needs
keys and values once per utterance: they have a graph of their own. The position tables are cut to the length at hand
inside the graphs, so an utterance costs what its length costs. No Range, Where, Loop or If: small runtimes load this.
"""
import numpy as np
from onnx import TensorProto

from graph import Graph

EPSILON = 1e-5  # of every layer normalisation of Whisper


class Whisper:
    """The architecture over one set of tensors; `store` says how weights are kept (graph.Float, graph.Int8)."""

    def __init__(self, config: dict, tensors: dict, store):
        self.config, self.tensors, self.store = config, tensors, store
        self.width = config["d_model"]

    def graphs(self) -> dict:
        """File name -> bytes."""
        return {
            "encoder_model.onnx": self.encoder(),
            "cross_kv.onnx": self.cross_kv(),
            "decoder_step.onnx": self.decoder_step(),
        }

    # -- the three graphs ------------------------------------------------------------------------------------------

    def encoder(self) -> bytes:
        graph, heads = Graph(), self.config["encoder_attention_heads"]
        value, at = "input_features", "model.encoder."
        for name, stride in (("conv1", 1), ("conv2", 2)):
            value = self.gelu(graph, self.convolution(graph, value, at + name, stride))
        value = graph.node("Transpose", [value], perm=[0, 2, 1])
        positions = self.store.table(graph, "positions", self.tensors[at + "embed_positions.weight"])
        end = graph.size(value, 1)
        value = graph.node("Add", [value, graph.slice(positions, graph.integers(0), end)])
        for index in range(self.config["encoder_layers"]):
            layer = f"{at}layers.{index}"
            inner = self.norm(graph, value, f"{layer}.self_attn_layer_norm")
            query = self.query(graph, inner, f"{layer}.self_attn", heads)
            key = self.heads(graph, self.linear(graph, inner, f"{layer}.self_attn.k_proj"), heads)
            state = self.heads(graph, self.linear(graph, inner, f"{layer}.self_attn.v_proj"), heads)
            value = graph.node("Add", [value, self.attend(graph, query, key, state, f"{layer}.self_attn")])
            value = self.feed_forward(graph, value, layer)
        self.norm(graph, value, at + "layer_norm", "last_hidden_state")
        return graph.model(
            "whisper_encoder",
            [("input_features", TensorProto.FLOAT, ["B", self.config["num_mel_bins"], "T"])],
            [("last_hidden_state", TensorProto.FLOAT, ["B", "E", self.width])],
        )

    def cross_kv(self) -> bytes:
        graph, outputs = Graph(), []
        for index in range(self.config["decoder_layers"]):
            for name, projection in (("key", "k_proj"), ("value", "v_proj")):
                output = f"present.{index}.encoder.{name}"
                weight = f"model.decoder.layers.{index}.encoder_attn.{projection}"
                self.heads(graph, self.linear(graph, "encoder_hidden_states", weight), self.decoder_heads, output)
                outputs.append(self.cache_port(output, "E"))
        inputs = [("encoder_hidden_states", TensorProto.FLOAT, ["B", "E", self.width])]
        return graph.model("whisper_cross_kv", inputs, outputs)

    def decoder_step(self) -> bytes:
        graph, at, outputs = Graph(), "model.decoder.", []
        embedding = self.tensors[at + "embed_tokens.weight"]
        value, head = self.store.embedding(graph, "embed", embedding, "input_ids")
        past = graph.size("past_key_values.0.decoder.key", 2)
        end = graph.node("Add", [past, graph.size("input_ids", 1)])
        positions = self.store.table(graph, "positions", self.tensors[at + "embed_positions.weight"])
        value = graph.node("Add", [value, graph.slice(positions, past, end)])
        mask = self.causal_mask(graph, past, end)
        for index in range(self.config["decoder_layers"]):
            layer = f"{at}layers.{index}"
            value = graph.node("Add", [value, self.over_tokens(graph, value, layer, index, mask, outputs)])
            value = graph.node("Add", [value, self.over_audio(graph, value, layer, index)])
            value = self.feed_forward(graph, value, layer)
        graph.node("MatMul", [self.norm(graph, value, at + "layer_norm"), head], "logits")
        logits = ("logits", TensorProto.FLOAT, ["B", "S", len(embedding)])
        return graph.model("whisper_decoder_step", self.decoder_inputs(), [logits, *outputs])

    # -- parts of the decoder --------------------------------------------------------------------------------------

    @property
    def decoder_heads(self) -> int:
        return self.config["decoder_attention_heads"]

    def cache_port(self, name: str, length: str) -> tuple:
        heads = self.decoder_heads
        return (name, TensorProto.FLOAT, ["B", heads, length, self.width // heads])

    def decoder_inputs(self) -> list:
        ports = [("input_ids", TensorProto.INT64, ["B", "S"])]
        for index in range(self.config["decoder_layers"]):
            for side, length in (("decoder", "P"), ("encoder", "E")):
                ports += [self.cache_port(f"past_key_values.{index}.{side}.{n}", length) for n in ("key", "value")]
        return ports

    def causal_mask(self, graph: Graph, past: str, end: str) -> str:
        """[S, P+S]: 0 where a token may look, -1e9 per position where it may not: min(row - column, 0) * 1e9."""
        count = graph.constant("arange", np.arange(self.config["max_target_positions"], dtype=np.float32))
        rows = graph.node("Unsqueeze", [graph.slice(count, past, end), graph.integers(1)])
        columns = graph.node("Unsqueeze", [graph.slice(count, graph.integers(0), end), graph.integers(0)])
        ahead = graph.node("Min", [graph.node("Sub", [rows, columns]), graph.scalar("zero", 0.0)])
        return graph.node("Mul", [ahead, graph.scalar("far", 1e9)])

    def over_tokens(self, graph: Graph, value: str, layer: str, index: int, mask: str, outputs: list) -> str:
        """Attention over the tokens so far; the grown cache becomes an output."""
        inner = self.norm(graph, value, f"{layer}.self_attn_layer_norm")
        query, cache = self.query(graph, inner, f"{layer}.self_attn", self.decoder_heads), []
        for name, projection in (("key", "k_proj"), ("value", "v_proj")):
            output = f"present.{index}.decoder.{name}"
            new = self.heads(graph, self.linear(graph, inner, f"{layer}.self_attn.{projection}"), self.decoder_heads)
            old = f"past_key_values.{index}.decoder.{name}"
            cache.append(graph.node("Concat", [old, new], output, axis=2))
            outputs.append(self.cache_port(output, "P+S"))
        return self.attend(graph, query, *cache, f"{layer}.self_attn", mask)

    def over_audio(self, graph: Graph, value: str, layer: str, index: int) -> str:
        """Attention over the encoder's states, whose keys and values come from cross_kv."""
        inner = self.norm(graph, value, f"{layer}.encoder_attn_layer_norm")
        query = self.query(graph, inner, f"{layer}.encoder_attn", self.decoder_heads)
        key, state = (f"past_key_values.{index}.encoder.{name}" for name in ("key", "value"))
        return self.attend(graph, query, key, state, f"{layer}.encoder_attn")

    # -- parts of every layer --------------------------------------------------------------------------------------

    def linear(self, graph: Graph, value: str, name: str, scale: float = 1.0) -> str:
        """Keys have no bias. `scale` multiplies the result: it is folded into the weights."""
        factor = np.float32(scale)
        weight = self.store.weight(graph, f"{name}.weight", self.tensors[f"{name}.weight"].T * factor, 1)
        value, bias = graph.node("MatMul", [value, weight]), self.tensors.get(f"{name}.bias")
        if bias is None:
            return value
        return graph.node("Add", [value, graph.constant(f"{name}.bias", bias * factor)])

    def query(self, graph: Graph, value: str, attention: str, heads: int) -> str:
        scale = (self.width // heads) ** -0.5
        return self.heads(graph, self.linear(graph, value, f"{attention}.q_proj", scale), heads)

    def convolution(self, graph: Graph, value: str, name: str, stride: int) -> str:
        weight = self.store.weight(graph, f"{name}.weight", self.tensors[f"{name}.weight"], 0)
        bias = graph.constant(f"{name}.bias", self.tensors[f"{name}.bias"])
        return graph.node("Conv", [value, weight, bias], kernel_shape=[3], pads=[1, 1], strides=[stride])

    def norm(self, graph: Graph, value: str, name: str, output: str | None = None) -> str:
        scale = graph.constant(f"{name}.weight", self.tensors[f"{name}.weight"])
        bias = graph.constant(f"{name}.bias", self.tensors[f"{name}.bias"])
        return graph.node("LayerNormalization", [value, scale, bias], output, axis=-1, epsilon=EPSILON)

    def gelu(self, graph: Graph, value: str) -> str:
        """The exact form, by the error function."""
        error = graph.node("Erf", [graph.node("Div", [value, graph.scalar("root_two", float(np.sqrt(2)))])])
        grown = graph.node("Mul", [value, graph.node("Add", [error, graph.scalar("one", 1.0)])])
        return graph.node("Mul", [grown, graph.scalar("half", 0.5)])

    def heads(self, graph: Graph, value: str, heads: int, output: str | None = None) -> str:
        """[B, n, D] -> [B, H, n, D/H]."""
        parts = graph.node("Reshape", [value, graph.integers(0, 0, heads, self.width // heads)])
        return graph.node("Transpose", [parts], output, perm=[0, 2, 1, 3])

    def attend(self, graph: Graph, query: str, key: str, state: str, name: str, mask: str | None = None) -> str:
        scores = graph.node("MatMul", [query, graph.node("Transpose", [key], perm=[0, 1, 3, 2])])
        if mask:
            scores = graph.node("Add", [scores, mask])
        mixed = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), state])
        joined = graph.node("Transpose", [mixed], perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", [joined, graph.integers(0, 0, self.width)])
        return self.linear(graph, joined, f"{name}.out_proj")

    def feed_forward(self, graph: Graph, value: str, layer: str) -> str:
        inner = self.norm(graph, value, f"{layer}.final_layer_norm")
        inner = self.gelu(graph, self.linear(graph, inner, f"{layer}.fc1"))
        return graph.node("Add", [value, self.linear(graph, inner, f"{layer}.fc2")])
