"""The graph of a transformer for onnxruntime, made of its weights, not traced.

It reads windows of one length at a time: none of their word pieces is padding, so that there is no mask, and nothing is
computed for nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy

from spacy_domain_ner.errors import UserError

# Operators of this version are in onnxruntime since 1.20; the model's format is of the same time.
OPSET, IR_VERSION = 20, 10
INPUT, OUTPUT = "input_ids", "output"
# How each kind's embeddings and attention are made, by the `model_type` in a transformer's config.json.
BERT, ROBERTA, DEBERTA = "bert", ("roberta", "xlm-roberta", "camembert"), "deberta-v2"
ACTIVATIONS = {
    "gelu": {"approximate": "none"},
    "gelu_new": {"approximate": "tanh"},
    "gelu_pytorch_tanh": {"approximate": "tanh"},
}


def build_graph(model: Any, longest: int) -> bytes:
    """Make the graph of a transformer.

    Args:
        model: A model of transformers: an encoder, or one for token classification.
        longest: The most word pieces that it will read at once.

    Returns:
        The content of an ONNX file. Its input are the numbers of the word pieces, of shape (windows, pieces); its
        output are the last layer's vectors, or the scores of the tags, of shape (windows, pieces, width).

    Raises:
        UserError: The architecture is another one than BERT's, RoBERTa's or DeBERTa v2's and v3's, or the package onnx
            is missing.
    """
    onnx = load_onnx()
    _check(model.config)
    graph = _Graph(onnx.helper)
    base = model.base_model
    output = _layers(graph, base, _embed(graph, base, longest), longest)
    if base is not model:
        output = _linear(graph, output, model.classifier)
    width = base.config.hidden_size if base is model else model.config.num_labels
    graph.nodes.append(onnx.helper.make_node("Identity", [output], [OUTPUT]))
    helper, types = onnx.helper, onnx.TensorProto
    made = helper.make_graph(
        graph.nodes,
        "transformer",
        [helper.make_tensor_value_info(INPUT, types.INT64, ["windows", "pieces"])],
        [helper.make_tensor_value_info(OUTPUT, types.FLOAT, ["windows", "pieces", width])],
        [onnx.numpy_helper.from_array(array, name) for name, array in graph.weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    content: bytes = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
    return content


def load_onnx() -> Any:
    """Import the package onnx.

    Raises:
        UserError: It is missing.
    """
    try:
        import onnx
    except ImportError:
        raise UserError(
            "To package for `runtime` onnx, the package onnx is needed",
            "python -m pip install 'spacy-domain-ner[onnx]'",
        ) from None
    return onnx


def _check(config: Any) -> None:
    """Refuse what the graph would not compute as the transformer does."""
    kind = config.model_type
    unknown = ""
    if kind not in (BERT, *ROBERTA, DEBERTA):
        unknown = f"its architecture is {kind}"
    elif config.hidden_act not in ACTIVATIONS:
        unknown = f"its activation is {config.hidden_act}"
    elif getattr(config, "position_embedding_type", "absolute") != "absolute":
        unknown = f"its positions are {config.position_embedding_type}"
    elif getattr(config, "conv_kernel_size", 0):
        unknown = "it has a convolution"
    elif getattr(config, "is_decoder", False):
        unknown = "it is a decoder"
    if unknown:
        raise UserError(
            f"This transformer can't be packaged for `runtime` onnx: {unknown}",
            "BERT, RoBERTa and DeBERTa v2 and v3 can. Package this one for `runtime` torch.",
        )


class _Graph:
    """The nodes and weights of a graph that is being made."""

    def __init__(self, helper: Any) -> None:
        self.helper = helper
        self.nodes: list[Any] = []
        self.weights: dict[str, numpy.ndarray] = {}

    def weight(self, values: Any) -> str:
        """Add weights, or constants. RETURNS: Their name."""
        name = f"w{len(self.weights)}"
        self.weights[name] = numpy.ascontiguousarray(values)
        return name

    def shape(self, *sizes: int) -> str:
        return self.weight(numpy.array(sizes, "int64"))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node. RETURNS: The name of its output."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [name], **attributes))
        return name


def _embed(graph: _Graph, base: Any, longest: int) -> str:
    """The embeddings of the word pieces, with those of their positions."""
    parts, config = base.embeddings, base.config
    found = graph.add("Gather", graph.weight(_array(parts.word_embeddings.weight)), INPUT)
    # All pieces are of the first segment.
    segment = parts.token_type_embeddings
    first = _array(segment.weight)[0] if segment is not None else numpy.zeros((), "f")
    if config.model_type in ROBERTA:
        # Positions are counted from that of padding, and a text that spells out the piece for padding is not counted.
        padding = numpy.array(config.pad_token_id, "int64")
        real = graph.add("Cast", graph.add("Not", graph.add("Equal", INPUT, graph.weight(padding))), to=7)
        counted = graph.add("Mul", graph.add("CumSum", real, graph.weight(numpy.array(1, "int64"))), real)
        places = graph.add("Add", counted, graph.weight(padding))
        positions = graph.weight(_array(parts.position_embeddings.weight) + first)
        found = graph.add("Add", found, graph.add("Gather", positions, places))
    elif getattr(config, "position_biased_input", True):
        positions = graph.weight(_array(parts.position_embeddings.weight)[:longest] + first)
        found = graph.add("Add", found, graph.add("Slice", positions, graph.shape(0), _length(graph)))
    elif segment is not None:
        found = graph.add("Add", found, graph.weight(first))
    if getattr(parts, "embed_proj", None) is not None:
        found = graph.add("MatMul", found, graph.weight(_array(parts.embed_proj.weight).T))
    return _normalize(graph, found, parts.LayerNorm)


def _length(graph: _Graph) -> str:
    """The number of pieces in a window, as an array of one number."""
    return graph.add("Slice", graph.add("Shape", INPUT), graph.shape(1), graph.shape(2))


def _layers(graph: _Graph, base: Any, vectors: str, longest: int) -> str:
    config = base.config
    attend = _disentangled(graph, base, longest) if config.model_type == DEBERTA else _plain_attention(graph, config)
    for layer in base.encoder.layer:
        attended = _linear(graph, attend(vectors, layer.attention.self), layer.attention.output.dense)
        vectors = _normalize(graph, graph.add("Add", attended, vectors), layer.attention.output.LayerNorm)
        inner = _linear(graph, vectors, layer.intermediate.dense)
        inner = graph.add("Gelu", inner, **ACTIVATIONS[config.hidden_act])
        outer = _linear(graph, inner, layer.output.dense)
        vectors = _normalize(graph, graph.add("Add", outer, vectors), layer.output.LayerNorm)
    return vectors


def _plain_attention(graph: _Graph, config: Any) -> Callable[[str, Any], str]:
    def attend(vectors: str, layer: Any) -> str:
        projected = [_linear(graph, vectors, part) for part in (layer.query, layer.key, layer.value)]
        return graph.add("MultiHeadAttention", *projected, domain="com.microsoft", num_heads=config.num_attention_heads)

    return attend


def _disentangled(graph: _Graph, base: Any, longest: int) -> Callable[[str, Any], str]:
    """DeBERTa's attention: of contents to contents, of contents to relative positions, and of these to contents."""
    config, encoder = base.config, base.encoder
    heads = config.num_attention_heads
    kinds = [kind for kind in ("c2p", "p2c") if encoder.relative_attention and kind in (config.pos_att_type or [])]
    scale = (encoder.layer[0].attention.self.attention_head_size * (1 + len(kinds))) ** -0.5
    by_head = graph.shape(0, 0, heads, -1)
    tables = _relative_positions(graph, base, longest) if kinds else {}

    def score(vectors: str, positions: Any, kind: str) -> str:
        """The scores of each piece with each other's relative position, of shape (windows, heads, pieces, pieces)."""
        divided = graph.add("Transpose", graph.add("Reshape", vectors, by_head), perm=[0, 2, 1, 3])
        # Of shape (heads, width, positions). Positions are the same for each text: what is made of them is a weight.
        values = _array(positions).reshape(len(positions), heads, -1).transpose(1, 2, 0) * numpy.float32(scale)
        return graph.add("GatherElements", graph.add("MatMul", divided, graph.weight(values)), tables[kind], axis=3)

    def attend(vectors: str, layer: Any) -> str:
        parts = (layer.query_proj, layer.key_proj, layer.value_proj)
        query, key, value = (_linear(graph, vectors, part) for part in parts)
        scores = []
        if kinds:
            places = encoder.get_rel_embedding()[: 2 * layer.pos_ebd_size]
        if "c2p" in kinds:
            project = layer.key_proj if layer.share_att_key else layer.pos_key_proj
            scores.append(score(query, project(places), "c2p"))
        if "p2c" in kinds:
            project = layer.query_proj if layer.share_att_key else layer.pos_query_proj
            scores.append(graph.add("Transpose", score(key, project(places), "p2c"), perm=[0, 1, 3, 2]))
        bias = graph.add("Add", *scores) if len(scores) > 1 else "".join(scores)
        return graph.add(
            "MultiHeadAttention", query, key, value, "", "", bias, domain="com.microsoft", num_heads=heads, scale=scale
        )

    return attend


def _relative_positions(graph: _Graph, base: Any, longest: int) -> dict[str, str]:
    """The number of each piece's position relative to each other, for all windows and heads."""
    from torch import zeros
    from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

    layer = base.encoder.layer[0].attention.self
    pieces = zeros(longest, 1)
    relative = build_relative_position(
        pieces, pieces, bucket_size=layer.position_buckets, max_position=layer.max_relative_positions
    )[0].numpy()
    length = _length(graph)
    both = graph.add("Concat", length, length, axis=0)
    windows = graph.add("Slice", graph.add("Shape", INPUT), graph.shape(0), graph.shape(1))
    shape = graph.add("Concat", windows, graph.shape(base.config.num_attention_heads), both, axis=0)
    tables = {}
    for kind, numbers in (("c2p", relative), ("p2c", -relative)):
        table = graph.weight(numpy.clip(numbers + layer.pos_ebd_size, 0, 2 * layer.pos_ebd_size - 1).astype("int32"))
        part = graph.add("Slice", table, graph.shape(0, 0), both, graph.shape(0, 1))
        tables[kind] = graph.add("Expand", part, shape)
    return tables


def _linear(graph: _Graph, vectors: str, layer: Any) -> str:
    product = graph.add("MatMul", vectors, graph.weight(_array(layer.weight).T))
    return product if layer.bias is None else graph.add("Add", product, graph.weight(_array(layer.bias)))


def _normalize(graph: _Graph, vectors: str, layer: Any) -> str:
    weights = graph.weight(_array(layer.weight)), graph.weight(_array(layer.bias))
    return graph.add("LayerNormalization", vectors, *weights, axis=-1, epsilon=layer.eps)


def _array(tensor: Any) -> numpy.ndarray:
    found: numpy.ndarray = tensor.detach().float().cpu().numpy()
    return found
