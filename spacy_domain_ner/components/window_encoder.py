"""spaCy's MaxoutWindowEncoder, made faster on a CPU: the same sums with fewer passes over memory.

spaCy's own spends half of its time outside the matrix products, in arrays that each layer allocates again. At
prediction, none of them is needed later, so all layers here use the same few. In training, a layer keeps what its
gradient needs, and nothing else. At prediction, matrix products go through NumPy's BLAS.

This module stands alone: a packaged model carries a copy of it. It needs spaCy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy
from spacy.ml.models import MaxoutWindowEncoder
from spacy.util import registry
from thinc.api import Model, NumpyOps
from thinc.types import Floats2d

ARCHITECTURE = "spacy_domain_ner.MaxoutWindowEncoder.v1"
# The same as in thinc's layer normalization.
LEAST_VARIANCE = 1e-8


@registry.architectures(ARCHITECTURE)
def create_maxout_window_encoder(
    width: int, window_size: int, maxout_pieces: int, depth: int
) -> Model[list[Floats2d], list[Floats2d]]:
    """Encode context as `spacy.MaxoutWindowEncoder.v2` does, which GPUs use, with the same parameters.

    Args:
        width: The width of the vectors that come in and go out.
        window_size: How many tokens to each side a layer sees.
        maxout_pieces: The number of sums of which the highest counts.
        depth: The number of layers.

    Returns:
        The encoder.
    """
    encoder = MaxoutWindowEncoder(width=width, window_size=window_size, maxout_pieces=maxout_pieces, depth=depth)
    return Model(
        "maxout_window_encoder",
        forward,
        init=init,
        dims={"nO": width},
        layers=[encoder],
        attrs={"window_size": window_size},
    )


def init(model: Model, X: Any = None, Y: Any = None) -> None:  # noqa: N803 (as in thinc)
    model.layers[0].initialize(X=X, Y=Y)


def forward(model: Model, vectors: list[Floats2d], is_train: bool) -> tuple[list[Floats2d], Callable[[Any], Any]]:
    [encoder] = model.layers
    # GPUs have operations of their own, and so do some processors.
    if type(model.ops) is not NumpyOps or not sum(map(len, vectors)):
        return encoder(vectors, is_train)
    if is_train:
        return _train(encoder, model.attrs["window_size"], vectors)
    return _encode(encoder, model.attrs["window_size"], vectors), _no_backprop


def _encode(encoder: Model, window: int, vectors: Sequence[numpy.ndarray]) -> list[Any]:
    nodes = list(encoder.walk())
    layers = zip(
        (node for node in nodes if node.name == "maxout"),
        (node for node in nodes if node.name == "layernorm"),
        strict=True,
    )
    pad, width = encoder.attrs["pad"], encoder.get_dim("nO")
    lengths = [len(rows) for rows in vectors]
    starts = numpy.cumsum([pad, *(length + pad for length in lengths)])[:-1].tolist()
    size = sum(lengths) + pad * (len(lengths) + 1)
    # Rows of zeros divide the passages. The layers change them, as they change all rows.
    rows = numpy.zeros((size, width), "f")
    for start, length, given in zip(starts, lengths, vectors, strict=True):
        rows[start : start + length] = given
    # Padding stays zero in every layer.
    windows = numpy.zeros((size, 2 * window + 1, width), "f")
    sums = best = None
    for maxout, norm in layers:
        for place, shift in enumerate(range(-window, window + 1)):
            to, of = slice(max(0, -shift), size - max(0, shift)), slice(max(0, shift), size - max(0, -shift))
            windows[to, place] = rows[of]
        weights = maxout.get_param("W")
        pieces = weights.shape[1]
        sums = numpy.matmul(windows.reshape(size, -1), weights.reshape(width * pieces, -1).T, out=sums)
        sums += maxout.get_param("b").reshape(-1)
        if best is None:
            best = numpy.empty((size, width), "f")
        best[:] = sums[:, ::pieces]
        for piece in range(1, pieces):
            numpy.maximum(best, sums[:, piece::pieces], out=best)
        best -= best.mean(axis=1, keepdims=True)
        deviation = numpy.sqrt(numpy.einsum("ij,ij->i", best, best) / width + LEAST_VARIANCE)
        best /= deviation[:, None]
        best *= norm.get_param("G")
        best += norm.get_param("b")
        rows += best
    return [rows[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def _train(encoder: Model, window: int, vectors: Sequence[numpy.ndarray]) -> tuple[list[Any], Callable[[Any], Any]]:
    """Encode, and give the function that takes the gradient back through the layers."""
    ops, pad = encoder.ops, encoder.attrs["pad"]
    lengths = numpy.array([len(rows) for rows in vectors], "i")
    rows = ops.flatten(vectors, pad=pad)
    nodes = list(encoder.walk())
    layers = zip(
        *([node for node in nodes if node.name == name] for name in ("maxout", "layernorm", "dropout")), strict=True
    )
    backward = []
    for maxout, norm, dropout in layers:
        rows, back = _train_layer(maxout, norm, dropout, window, rows)
        backward.append(back)

    def backprop(gradients: Sequence[numpy.ndarray]) -> Any:
        gradient = ops.flatten(gradients, pad=pad)
        for back in reversed(backward):
            gradient = back(gradient)
        return ops.unflatten(gradient, lengths, pad=pad)

    return ops.unflatten(rows, lengths, pad=pad), backprop


def _train_layer(
    maxout: Model, norm: Model, dropout: Model, window: int, rows: numpy.ndarray
) -> tuple[numpy.ndarray, Callable[[numpy.ndarray], numpy.ndarray]]:
    """One layer: what it gives, and the function that takes its gradient back."""
    ops, (width, pieces, _) = maxout.ops, maxout.get_param("W").shape
    weights = maxout.get_param("W").reshape(width * pieces, -1)
    windows = ops.seq2col(rows, window)
    sums = ops.gemm(windows, weights, trans2=True)
    sums += maxout.get_param("b").reshape(-1)
    normal, which = ops.maxout(sums.reshape(-1, width, pieces))
    normal -= normal.mean(axis=1, keepdims=True)
    scale = 1 / numpy.sqrt(numpy.einsum("ij,ij->i", normal, normal) / width + LEAST_VARIANCE)[:, None]
    normal *= scale
    result = normal * norm.get_param("G")
    result += norm.get_param("b")
    rate = dropout.attrs["dropout_rate"] if dropout.attrs["is_enabled"] else 0
    mask = _dropout_mask(result.shape, rate) if rate else None
    if mask is not None:
        result *= mask
    result += rows

    def back(gradient: numpy.ndarray) -> numpy.ndarray:
        changed = gradient * mask if mask is not None else gradient.copy()
        norm.inc_grad("b", changed.sum(axis=0))
        norm.inc_grad("G", numpy.einsum("ij,ij->j", changed, normal))
        changed *= norm.get_param("G")
        along = numpy.einsum("ij,ij->i", changed, normal)[:, None] / width
        changed -= changed.mean(axis=1, keepdims=True)
        changed -= along * normal
        changed *= scale
        of_sums = ops.backprop_maxout(changed, which, pieces)
        maxout.inc_grad("b", of_sums.sum(axis=0))
        of_sums = of_sums.reshape(-1, width * pieces)
        maxout.inc_grad("W", ops.gemm(of_sums, windows, trans1=True).reshape(width, pieces, -1))
        given: numpy.ndarray = ops.backprop_seq2col(ops.gemm(of_sums, weights), window)
        given += gradient
        return given

    return result, back


def _dropout_mask(shape: tuple[int, ...], rate: float) -> numpy.ndarray:
    """What thinc's is, from two random bytes for each value, where thinc takes eight."""
    size = 2 * shape[0] * shape[1]
    numbers = numpy.frombuffer(numpy.random.bytes(size), "<u2").reshape(shape)
    return (numbers >= round(rate * 2**16)) * numpy.float32(1 / (1 - rate))


def _no_backprop(_: Any) -> Any:
    raise ValueError("A prediction of this model has no gradient: call it with is_train=True.")
