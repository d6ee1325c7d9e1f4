"""A trained pipeline made into one that onnxruntime runs, which needs neither PyTorch nor transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from spacy.language import Language
from spacy.ml.models.tok2vec import Tok2VecListener
from spacy.util import replace_model_node
from thinc.api import Model

from spacy_domain_ner.base_models.configs import read_config
from spacy_domain_ner.components import huggingface_ner, onnx_encoder
from spacy_domain_ner.components.onnx_reader import GRAPH, READER, TOKENIZER, OnnxReader
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
# The most that an entity's confidence may differ by: rounding makes a small part of that.
LARGEST_DIFFERENCE = 0.005
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
    if not find_transformers(config) and not _find_classifiers(config):
        raise UserError(
            f"`runtime` is {runtime}, but this model has no transformer: it needs no PyTorch as it is", HINT
        )


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
        passages: Passages in which the model must find the same entities after it as before, as surely.

    Raises:
        UserError: The model has no transformer, or one that can't be run so; a package is missing; or it does not find
            the same entities.
    """
    config = read_config(model / "config.cfg")
    nlp = load_model(model)
    texts = [passage.text for passage in passages]
    expected = _find(nlp, texts)
    encoders = {name: _encoder(nlp, name, config["components"][name]) for name in find_transformers(config)}
    classifiers = {name: _classifier(nlp, name) for name in _find_classifiers(config)}
    _replace_listeners(nlp, config, {name: encoder.reader.width for name, encoder in encoders.items()})
    made: dict[str, onnx_encoder.OnnxEncoder | huggingface_ner.OnnxHuggingFaceNER] = {**encoders, **classifiers}
    for name, component in made.items():
        rmtree(model / name)
        component.to_disk(model / name)
        factory = onnx_encoder.FACTORY if name in encoders else huggingface_ner.ONNX_FACTORY
        config["components"][name] = {"factory": factory, **component.cfg, "reader": {"@misc": READER}}
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
    in_onnx = (onnx_encoder.FACTORY, huggingface_ner.ONNX_FACTORY)
    components = [pipe for name, pipe in nlp.pipeline if nlp.get_pipe_meta(name).factory in in_onnx]
    for component in components:
        files = component.reader.files
        component.reader.load(quantize_graph(files[GRAPH]), files[TOKENIZER], **component.reader.about)
    after = _f1(nlp, passages)
    if round(before - after, 4) > LARGEST_LOSS:
        return Int8Outcome(taken=False, f1=after, f1_in_32_bits=before)
    for component in components:
        component.to_disk(model / component.name)
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


def _find_classifiers(config: dict[str, Any]) -> list[str]:
    """The names of the components that are Hugging Face token classifiers."""
    components = config.get("components", {})
    return [name for name, section in components.items() if section.get("factory") == huggingface_ner.FACTORY]


def _encoder(nlp: Language, name: str, component: dict[str, Any]) -> onnx_encoder.OnnxEncoder:
    """Make the component that takes a transformer's place."""
    model = nlp.get_pipe(name).model
    windows = component["model"].get("get_spans", {})
    if windows.get("@span_getters") != BYTE_WINDOWS:
        raise UserError(f"`runtime` onnx reads windows by {BYTE_WINDOWS} only: {name} has others", HINT)
    longest = int(min(model.tokenizer.model_max_length, model.transformer.config.max_position_embeddings))
    reader = OnnxReader().load(
        build_graph(model.transformer, longest), _tokenizer_json(name, model.tokenizer), longest=longest
    )
    return onnx_encoder.OnnxEncoder(
        nlp.vocab, name, reader=reader, size=windows.get("size", 500), overlap=windows.get("overlap", 120)
    )


def _classifier(nlp: Language, name: str) -> huggingface_ner.OnnxHuggingFaceNER:
    """Make the component that takes a token classifier's place."""
    trained: Any = nlp.get_pipe(name)
    sizes = {key: trained.cfg[key] for key in ("max_length", "overlap")}
    longest = min(sizes["max_length"], trained.tokenizer.model_max_length)
    component = huggingface_ner.OnnxHuggingFaceNER(nlp.vocab, name, reader=OnnxReader(), **sizes)
    component.calibration = trained.calibration
    return component.load(
        build_graph(trained.model, longest), _tokenizer_json(name, trained.tokenizer), longest=longest,
        tags=trained.tags,
    )  # fmt: skip


def _tokenizer_json(name: str, tokenizer: Any) -> bytes:
    if not tokenizer.is_fast:
        raise UserError(f"`runtime` onnx needs a tokenizer.json, which the tokenizer of {name} has not", HINT)
    content: str = tokenizer.backend_tokenizer.to_str()
    return content.encode()


def _replace_listeners(nlp: Language, config: dict[str, Any], widths: dict[str, int]) -> None:
    """Let what listens to a transformer listen to the component in its place."""
    # A token classifier's model is one of PyTorch.
    others = [
        (name, pipe)
        for name, pipe in nlp.pipeline
        if name not in widths and isinstance(getattr(pipe, "model", None), Model)
    ]
    for name, pipe in others:
        for node in list(pipe.model.walk()):
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
    for name, pipe in others:
        pipe.to_disk(Path(nlp.path) / name, exclude=["vocab"])


def _rename_listeners(section: Any, upstream: str, width: int) -> None:
    if not isinstance(section, dict):
        return
    if section.get("@architectures") == LISTENER:
        section.clear()
        section |= {"@architectures": "spacy.Tok2VecListener.v1", "width": width, "upstream": upstream}
    for value in section.values():
        _rename_listeners(value, upstream, width)


def _find(nlp: Language, texts: Sequence[str]) -> list[dict[tuple[int, int, str], float | None]]:
    """The entities of each text, each with its confidence; None where the model gives none."""
    return [
        {
            (ent.start_char, ent.end_char, ent.label_): ent._.confidence if ent.has_extension("confidence") else None
            for ent in doc.ents
        }
        for doc in nlp.pipe(texts)
    ]


def _compare(
    passages: Sequence[Passage],
    before: Sequence[dict[tuple[int, int, str], float | None]],
    after: Sequence[dict[tuple[int, int, str], float | None]],
) -> None:
    other = [one for one, old, new in zip(passages, before, after, strict=True) if not _same(old, new)]
    if other:
        raise UserError(
            f"With `runtime` onnx the model finds other entities, or with another confidence, in {len(other)} of "
            f"{len(passages)} passages, such as {other[0].place}: nothing was packaged",
            HINT,
        )


def _same(old: dict[Any, float | None], new: dict[Any, float | None]) -> bool:
    shares = [(old[entity] or 0.0, new[entity] or 0.0) for entity in old.keys() & new.keys()]
    return old.keys() == new.keys() and all(abs(one - other) <= LARGEST_DIFFERENCE for one, other in shares)
