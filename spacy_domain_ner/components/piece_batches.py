"""A transformer that reads batches of windows with about the same number of word pieces, so that few are padded.

spacy-transformers makes batches of docs with about the same number of tokens, of which some are one word piece and some
are twenty, and pads each window to the longest of its batch: in passages of some 20 words, two of five places that it
computes are padding.

This module stands alone: a packaged model carries a copy of it. Its functions need spacy-transformers, and import it
themselves: to make a package, spaCy loads the modules of all architectures, also where PyTorch is not installed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy
from spacy.tokens import Doc, Span
from spacy.util import registry
from thinc.api import Model, get_array_module, torch2xp
from thinc.types import Ragged

if TYPE_CHECKING:
    from spacy_transformers.data_classes import FullTransformerBatch
    from spacy_transformers.layers.transformer_model import TransformerModel

ARCHITECTURE = "spacy_domain_ner.PieceBatchedTransformer.v1"
# The places of a batch, word pieces and padding. On a CPU more of them are no faster for each.
PLACES_CPU, PLACES_GPU = 256, 8192


@registry.architectures(ARCHITECTURE)
def create_piece_batched_transformer(
    name: str,
    get_spans: Callable[[list[Doc]], list[list[Span]]],
    tokenizer_config: dict[str, Any] = {},  # noqa: B006 (as in spacy-transformers)
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool = False,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    places: int | None = None,
) -> "Model[list[Doc], FullTransformerBatch]":
    """Make a transformer as spacy-transformers does, which predicts in batches of its own.

    Args:
        name: A hub name or a folder.
        get_spans: Gives the windows of each Doc.
        tokenizer_config: Settings of the tokenizer.
        transformer_config: Settings of the transformer. With any of them, batches are those of spacy-transformers.
        mixed_precision: Whether to use half precision, on a GPU.
        grad_scaler_config: How gradients are scaled for half precision.
        places: The most places, word pieces and padding, that are predicted at once; None suits the processor.

    Returns:
        The model. At prediction, a Doc's `trf_data` has the vectors of the last layer, and no other output.
    """
    from spacy_transformers.layers.transformer_model import TransformerModel

    model = TransformerModel(
        name, get_spans, dict(tokenizer_config), dict(transformer_config), mixed_precision, dict(grad_scaler_config)
    )
    model.attrs["places"] = places
    model._func = forward
    return model


def forward(
    model: "TransformerModel", docs: list[Doc], is_train: bool
) -> "tuple[FullTransformerBatch, Callable[[Any], Any]]":
    from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
    from spacy_transformers.layers.transformer_model import forward as forward_padded
    from transformers.file_utils import ModelOutput

    tokenizer = model.tokenizer
    ours = tokenizer.is_fast and tokenizer.padding_side == "right" and tokenizer.pad_token_id is not None
    if is_train or not ours or model._init_transformer_config.keys() - {"return_dict"}:
        return forward_padded(model, docs, is_train)
    spans = model.attrs["get_spans"](docs)
    windows = [span for of_doc in spans for span in of_doc]
    encoded = tokenizer([window.text for window in windows], return_offsets_mapping=True) if windows else {}
    longest = int(min(tokenizer.model_max_length, 1 << 30))
    inputs = {
        key: [numpy.array(row[:longest]) for row in encoded[key]]
        for key in ("input_ids", "token_type_ids")
        if key in encoded
    }
    fills = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id, "attention_mask": 0}
    vectors = _predict(model, inputs, fills) if windows else []
    doc_data, start = [], 0
    for doc, of_doc in zip(docs, spans, strict=True):
        part = slice(start, start := start + len(of_doc))
        if not any(map(len, of_doc)):
            doc_data.append(TransformerData.empty())
            continue
        lengths = [len(row) for row in inputs["input_ids"][part]]
        rows = {key: _pad(inputs[key][part], fills[key]) for key in inputs}
        pieces = WordpieceBatch(
            strings=[tokenizer.convert_ids_to_tokens(row) for row in rows["input_ids"]],
            input_ids=rows["input_ids"],
            attention_mask=_pad([numpy.ones(length, "f") for length in lengths], 0),
            lengths=lengths,
            token_type_ids=rows.get("token_type_ids"),
        )
        output = ModelOutput(last_hidden_state=_pad(vectors[part], 0))
        doc_data.append(TransformerData(pieces, output, align(doc, of_doc, encoded["offset_mapping"][part], lengths)))
    made = FullTransformerBatch.empty(len(docs))
    made.spans, made.cached_doc_data = spans, doc_data
    return made, lambda _: []


def batches(lengths: Sequence[int], places: int) -> Iterator[list[int]]:
    """Divide windows into batches, in the order of their lengths.

    Args:
        lengths: The number of word pieces of each window.
        places: The most places in a batch, unless one window alone has more.

    Yields:
        The numbers of the windows of a batch.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[number] * (len(batch) + 1) > places:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def align(
    doc: Doc, windows: Sequence[Span], offsets: Sequence[Sequence[tuple[int, int]]], lengths: Sequence[int]
) -> Ragged:
    """Find the word pieces of each token, in all windows that have it, as spacy-transformers does.

    A token has the pieces that have a character of it, or the blank behind it.

    Args:
        doc: The Doc.
        windows: Its windows.
        offsets: The start and end of each window's pieces in the window's text; both the same for those that stand for
            nothing.
        lengths: How many pieces of each window were read.

    Returns:
        The numbers of the pieces, with the windows padded to the longest of them and one after the other.
    """
    starts = numpy.array([token.idx for token in doc])
    found = []
    for number, (window, bounds, length) in enumerate(zip(windows, offsets, lengths, strict=True)):
        begins, ends = numpy.array(bounds[:length]).reshape(-1, 2).T + window.start_char
        [pieces] = numpy.nonzero(ends > begins)
        first = numpy.searchsorted(starts, begins[pieces], side="right") - 1
        counts = numpy.searchsorted(starts, ends[pieces] - 1, side="right") - first
        within = numpy.arange(counts.sum()) - numpy.repeat(counts.cumsum() - counts, counts)
        found.append((numpy.repeat(first, counts) + within, numpy.repeat(pieces + number * max(lengths), counts)))
    tokens, pieces = (numpy.concatenate(parts) for parts in zip(*found, strict=True))
    order = numpy.argsort(tokens, kind="stable")
    counts = numpy.bincount(tokens, minlength=len(doc))
    return Ragged(pieces[order].astype("i"), counts.astype("i"))


def _predict(model: "TransformerModel", inputs: dict[str, list[numpy.ndarray]], fills: dict[str, int]) -> list[Any]:
    """The vectors of each window's word pieces."""
    import torch

    transformer = model.transformer
    device = transformer.device
    places = model.attrs["places"] or (PLACES_CPU if device.type == "cpu" else PLACES_GPU)
    lengths = [len(row) for row in inputs["input_ids"]]
    vectors: list[Any] = [None] * len(lengths)
    inputs = {**inputs, "attention_mask": [numpy.ones(length, "f") for length in lengths]}
    half = device.type != "cpu" and model.layers[0].shims[0]._mixed_precision
    if transformer.training:  # training switches back by itself
        transformer.eval()
    with torch.inference_mode(), torch.autocast(device.type, enabled=half):
        for numbers in batches(lengths, places):
            batch = {
                key: torch.from_numpy(_pad([rows[number] for number in numbers], fills[key])).to(device)
                for key, rows in inputs.items()
            }
            output = torch2xp(transformer(**batch).last_hidden_state)
            for number, row in zip(numbers, output, strict=True):
                vectors[number] = row[: lengths[number]]
    return vectors


def _pad(rows: Sequence[Any], fill: int) -> Any:
    """Put arrays of different lengths into one, a row each."""
    if len(rows) == 1:
        return rows[0][None]
    longest = max(map(len, rows))
    xp = get_array_module(rows[0])
    padded = xp.full((len(rows), longest, *rows[0].shape[1:]), fill, rows[0].dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded
