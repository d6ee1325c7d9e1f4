"""A trained pipeline made into one that onnxruntime runs, which needs neither PyTorch nor transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from spacy.language import Language
from spacy.ml.models.tok2vec import Tok2VecListener
from spacy.util import replace_model_node

from spacy_domain_ner.base_models.configs import read_config
from spacy_domain_ner.components import onnx_encoder
from spacy_domain_ner.components.huggingface_ner import FACTORY as HUGGINGFACE
from spacy_domain_ner.confidence import calibrate_model
from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.deployment.onnx_graph import build_graph
from spacy_domain_ner.deployment.onnx_int8 import quantize_graph
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training.spacy_training import BYTE_WINDOWS, find_transformers

TORCH, ONNX, ONNX_INT8 = "torch", "onnx", "onnx-int8"
# The most micro F1 that 8 bits may lose.
LARGEST_LOSS = 0.005
LISTENER = "spacy-transformers.TransformerListener.v1"
HINT = "Package it with `runtime` torch, which changes nothing in it."


def check_runtime(runtime: str, model: Path) -> None:
    """Check that a model can be packaged for a runtime, as far as its config tells.

    Raises:
        UserError: The runtime is not known, or the model has no transformer that it could run.
    """
    known = (TORCH, ONNX, ONNX_INT8)
    if runtime not in known:
        raise UserError(f"`runtime` is {runtime!r}, which is not known", f"Choose one of: {', '.join(known)}")
    if runtime == TORCH:
        return
    config = read_config(model / "config.cfg")
    if find_transformers(config):
        return
    if any(component.get("factory") == HUGGINGFACE for component in config.get("components", {}).values()):
        raise UserError(f"`runtime` {runtime} is there for the framework spacy; this model is one of huggingface", HINT)
    raise UserError(f"`runtime` is {runtime}, but this model has no transformer: it needs no PyTorch as it is", HINT)


@dataclass(frozen=True)
class Int8Outcome:
    """What became of a model in 8 bits.

    Attributes:
        taken: Whether the model is in 8 bits now.
        f1: Its micro F1 on the evaluation set, in 8 bits.
        f1_in_32_bits: The micro F1 before.
    """

    taken: bool
    f1: float
    f1_in_32_bits: float

    def __str__(self) -> str:
        figures = f"F1 {self.f1:.4f}, in 32 bits {self.f1_in_32_bits:.4f}"
        if self.taken:
            return f"In 8 bits: {figures}. The confidence was calibrated anew."
        return f"Not in 8 bits: {figures}, and at most {LARGEST_LOSS} may be lost. The package is in 32 bits."


def to_onnx(model: Path, passages: Sequence[Passage]) -> None:
    """Put onnxruntime in the place of PyTorch in a model's folder.

    Args:
        model: The folder, which is changed.
        passages: Passages in which the model must find the same entities after it as before.

    Raises:
        UserError: The model has no transformer, or one that can't be run so; a package is missing; or it does not find
            the same entities.
    """
    config = read_config(model / "config.cfg")
    transformers = find_transformers(config)
    nlp = load_model(model)
    texts = [passage.text for passage in passages]
    expected = _find(nlp, texts)
    encoders = {name: _encoder(nlp, name, config["components"][name]) for name in transformers}
    _replace_listeners(nlp, config, {name: encoder.about["width"] for name, encoder in encoders.items()})
    for name, encoder in encoders.items():
        rmtree(model / name)
        encoder.to_disk(model / name)
        config["components"][name] = {
            "factory": onnx_encoder.FACTORY, "size": encoder.size, "overlap": encoder.overlap,
        }  # fmt: skip
    config.to_disk(model / "config.cfg")
    _compare(passages, expected, _find(load_model(model), texts))


def to_int8(model: Path, passages: Sequence[Passage], dev: Sequence[Passage]) -> Int8Outcome:
    """Quantise a model's transformer, where it loses next to nothing by it, and calibrate its confidence anew.

    Args:
        model: The folder that `to_onnx` has changed. It stays as it is where 8 bits lose more than 0.005 micro F1.
        passages: The passages in which it is measured, before and after.
        dev: The early-stopping set, by which the confidence is calibrated.

    Raises:
        UserError: The passages have no entities, so that nothing can be measured.
    """
    nlp = load_model(model)
    before = _f1(nlp, passages)
    encoders = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, onnx_encoder.OnnxEncoder)]
    for encoder in encoders:
        files, about = encoder.files, encoder.about
        encoder.load(
            quantize_graph(files[onnx_encoder.GRAPH]), files[onnx_encoder.TOKENIZER],
            width=about["width"], longest=about["longest"],
        )  # fmt: skip
    after = _f1(nlp, passages)
    if round(before - after, 4) > LARGEST_LOSS:
        return Int8Outcome(taken=False, f1=after, f1_in_32_bits=before)
    for encoder in encoders:
        encoder.to_disk(model / encoder.name)
    calibrate_model(model, dev)
    return Int8Outcome(taken=True, f1=after, f1_in_32_bits=before)


def _f1(nlp: Language, passages: Sequence[Passage]) -> float:
    micro = score(list(passages), predict_spans(nlp, passages), []).micro
    if not micro.support or micro.f1 is None:
        raise UserError(
            f"`runtime` {ONNX_INT8} is measured on the evaluation set, which has no entities",
            f"Annotate some of it, or package with `runtime` {ONNX}.",
        )
    return round(micro.f1, 4)


def _encoder(nlp: Language, name: str, component: dict[str, Any]) -> onnx_encoder.OnnxEncoder:
    """Make the component that takes a transformer's place."""
    model = nlp.get_pipe(name).model
    windows = component["model"].get("get_spans", {})
    if windows.get("@span_getters") != BYTE_WINDOWS:
        raise UserError(f"`runtime` onnx reads windows by {BYTE_WINDOWS} only: {name} has others", HINT)
    if not model.tokenizer.is_fast:
        raise UserError(f"`runtime` onnx needs a tokenizer.json, which the tokenizer of {name} has not", HINT)
    longest = int(min(model.tokenizer.model_max_length, model.transformer.config.max_position_embeddings))
    encoder = onnx_encoder.OnnxEncoder(
        nlp.vocab, name, size=windows.get("size", 500), overlap=windows.get("overlap", 120)
    )
    return encoder.load(
        build_graph(model.transformer, longest),
        model.tokenizer.backend_tokenizer.to_str().encode(),
        width=model.transformer.config.hidden_size,
        longest=longest,
    )


def _replace_listeners(nlp: Language, config: dict[str, Any], widths: dict[str, int]) -> None:
    """Let what listens to a transformer listen to the component in its place."""
    for name, pipe in nlp.pipeline:
        nodes = list(pipe.model.walk()) if hasattr(pipe, "model") and name not in widths else []
        for node in nodes:
            if not node.has_ref("listener"):
                continue
            upstream = node.get_ref("listener").upstream_name
            upstream = next(iter(widths)) if upstream == "*" else upstream
            pooling = node.layers[1].layers[0].name
            if upstream not in widths or pooling != "reduce_mean":
                raise UserError(f"`runtime` onnx pools word pieces by their mean only: {name} has {pooling}", HINT)
            listener = Tok2VecListener(upstream_name=upstream, width=widths[upstream])
            replace_model_node(pipe.model, node, listener)
            _rename_listeners(config["components"][name], upstream, widths[upstream])
    for name, pipe in nlp.pipeline:
        if name not in widths and hasattr(pipe, "model"):
            pipe.to_disk(Path(nlp.path) / name, exclude=["vocab"])


def _rename_listeners(section: Any, upstream: str, width: int) -> None:
    if not isinstance(section, dict):
        return
    if section.get("@architectures") == LISTENER:
        section.clear()
        section |= {"@architectures": "spacy.Tok2VecListener.v1", "width": width, "upstream": upstream}
    for value in section.values():
        _rename_listeners(value, upstream, width)


def _find(nlp: Language, texts: Sequence[str]) -> list[set[tuple[int, int, str]]]:
    return [{(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents} for doc in nlp.pipe(texts)]


def _compare(passages: Sequence[Passage], before: Sequence[Any], after: Sequence[Any]) -> None:
    other = [one for one, old, new in zip(passages, before, after, strict=True) if old != new]
    if other:
        raise UserError(
            f"With `runtime` onnx the model finds other entities in {len(other)} of {len(passages)} passages, such as "
            f"{other[0].place}: nothing was packaged",
            HINT,
        )
