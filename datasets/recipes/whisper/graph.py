"""An ONNX graph under construction: nodes, constants by name, and the choice how weights are stored.

Must not know Whisper. Two stores of weights exist: `Float` (float32 as they are) and `Int8` (symmetric, one scale per
output channel, DequantizeLinear in the graph; tables that are added, not multiplied, in float16).
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # LayerNormalization as one node
IR_VERSION = 8


class Graph:
    """Collects nodes and constants; names are the only links, as in ONNX itself."""

    def __init__(self):
        self.nodes, self.constants, self.named = [], [], set()

    def node(self, kind: str, inputs: list, output: str | None = None, **attributes) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        """Stored once under its name, however often it is asked for."""
        if name not in self.named:
            self.named.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant("i_" + "_".join(str(v).replace("-", "m") for v in values), np.array(values, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def size(self, value: str, axis: int) -> str:
        """The length of one axis, as a vector of one integer."""
        return self.slice(self.node("Shape", [value]), self.integers(axis), self.integers(axis + 1))

    def slice(self, value: str, start: str, end: str) -> str:
        """Along axis 0. Start and end are vectors of one integer."""
        return self.node("Slice", [value, start, end, self.integers(0)])

    def model(self, name: str, inputs: list, outputs: list) -> bytes:
        """The checked model, serialised so that equal graphs are equal bytes. Ports are (name, type, shape)."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(*port) for port in inputs],
            [helper.make_tensor_value_info(*port) for port in outputs],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="headwater"
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)


class Float:
    """Weights as float32."""

    def weight(self, graph: Graph, name: str, value: np.ndarray, axis: int) -> str:
        return graph.constant(name, value)

    def table(self, graph: Graph, name: str, value: np.ndarray) -> str:
        return graph.constant(name, value)

    def embedding(self, graph: Graph, name: str, value: np.ndarray, ids: str) -> tuple[str, str]:
        """The rows of `ids`, and the transposed table for the tied output projection."""
        table = graph.constant(name, value)
        return graph.node("Gather", [table, ids]), graph.node("Transpose", [table], perm=[1, 0])


class Int8:
    """Weights as int8 in [-127, 127] with one float32 scale per channel of `axis`; no zero points."""

    def weight(self, graph: Graph, name: str, value: np.ndarray, axis: int) -> str:
        codes, scales = self.quantised(graph, name, value, axis)
        return graph.node("DequantizeLinear", [codes, scales], name, axis=axis)

    def table(self, graph: Graph, name: str, value: np.ndarray) -> str:
        """Kept as float16 where that loses nothing (OpenAI published in float16), else as it is."""
        half = value.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), value):
            return graph.constant(name, value)
        return graph.node("Cast", [graph.constant(f"{name}_h", half)], name, to=TensorProto.FLOAT)

    def embedding(self, graph: Graph, name: str, value: np.ndarray, ids: str) -> tuple[str, str]:
        """As `Float.embedding`; the codes are stored once and read by both uses."""
        codes, scales = self.quantised(graph, name, value, 0)
        rows = graph.node("Cast", [graph.node("Gather", [codes, ids])], to=TensorProto.FLOAT)
        scale = graph.node("Unsqueeze", [graph.node("Gather", [scales, ids]), graph.integers(-1)])
        table = graph.node("DequantizeLinear", [codes, scales], name, axis=0)
        return graph.node("Mul", [rows, scale]), graph.node("Transpose", [table], perm=[1, 0])

    def quantised(self, graph: Graph, name: str, value: np.ndarray, axis: int) -> tuple[str, str]:
        codes, scales = quantise(value, axis)
        return graph.constant(f"{name}_q", codes), graph.constant(f"{name}_s", scales)


def quantise(value: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 codes and the scale of each channel along `axis`: value = code * scale."""
    others = tuple(i for i in range(value.ndim) if i != axis)
    scales = (np.maximum(np.abs(value).max(others), 1e-12) / np.float32(127)).astype(np.float32)
    spread = scales.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
    return np.clip(np.rint(value / spread), -127, 127).astype(np.int8), scales
