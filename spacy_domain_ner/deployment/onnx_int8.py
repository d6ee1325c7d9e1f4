"""The graph of a transformer with its matrix products in 8 bits, so that a text's result depends on that text alone.

The vector of each word piece is quantised by its own largest value, the weights by the largest of each column. So
several pieces, windows or texts never share a scale. Embeddings, attention scores and everything else stay in 32
bits.
"""

from typing import Any

import numpy

from spacy_domain_ner.deployment.onnx_graph import load_onnx

# Processors with AVX2 and no VNNI add two products in 16 bits: 2 x 255 x 63 fits, with 127 the sums are cut off.
LARGEST_WEIGHT = 63
LARGEST_INPUT, ZERO = 127, 128


def quantize_graph(content: bytes) -> bytes:
    """Quantise the products of vectors and trained weights.

    Args:
        content: The ONNX file that `build_graph` made.

    Returns:
        The content of an ONNX file with the same input and output.
    """
    onnx = load_onnx()
    model = onnx.load_model_from_string(content)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made = _Quantizer(onnx)
    for node in model.graph.node:
        # Weights of three dimensions are the positions of DeBERTa's attention, by head.
        if node.op_type == "MatMul" and node.input[1] in weights and len(weights[node.input[1]].dims) == 2:
            made.multiply(node.input[0], onnx.numpy_helper.to_array(weights.pop(node.input[1])), node.output[0])
        else:
            made.nodes.append(node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(made.nodes)
    model.graph.initializer.extend([*weights.values(), *made.weights])
    quantized: bytes = model.SerializeToString()
    return quantized


class _Quantizer:
    """The nodes and the new weights of a graph that is being quantised."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.inputs: dict[str, tuple[str, str]] = {}
        self.axis = self.weight("last_axis", numpy.array([-1], "int64"))
        self.step = self.weight("step", numpy.array(1 / LARGEST_INPUT, "f"))
        self.zero = self.weight("zero", numpy.array(ZERO, "uint8"))

    def multiply(self, vectors: str, weight: numpy.ndarray, output: str) -> None:
        """Add the product of vectors, by the name of their tensor, and a weight."""
        quantized, largest = self.quantize(vectors)
        scale = numpy.abs(weight).max(axis=0) / numpy.float32(LARGEST_WEIGHT)
        scale[scale == 0] = 1
        whole = self.weight(f"{output}_weight", numpy.rint(weight / scale).astype("int8"))
        inputs = [quantized, whole, self.step, self.weight(f"{output}_scale", scale), self.zero]
        product = self.add("MatMulIntegerToFloat", inputs, f"{output}_product", domain="com.microsoft")
        self.add("Mul", [product, largest], output)

    def quantize(self, vectors: str) -> tuple[str, str]:
        """Quantise the vector of each word piece. RETURNS: What came of it, and the largest values."""
        if vectors not in self.inputs:
            absolute = self.add("Abs", [vectors], f"{vectors}_absolute")
            largest = self.add("ReduceMax", [absolute, self.axis], f"{vectors}_largest", keepdims=1)
            # A vector of zeros gives 0 / 0 here, and zeros again when the product is multiplied by its largest value.
            shares = self.add("Div", [vectors, largest], f"{vectors}_shares")
            quantized = self.add("QuantizeLinear", [shares, self.step, self.zero], f"{vectors}_quantized")
            self.inputs[vectors] = quantized, largest
        return self.inputs[vectors]

    def weight(self, name: str, values: numpy.ndarray) -> str:
        self.weights.append(self.onnx.numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node. RETURNS: The name of its output."""
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output
