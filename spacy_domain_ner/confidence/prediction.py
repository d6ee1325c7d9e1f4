"""How sure a model is of its entities: one interface to what different recognizers can say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from spacy.language import Language
from spacy.pipeline import EntityRecognizer
from spacy.tokens import Doc

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError

BATCH = 64
OWN_FACTORY = "spacy_domain_ner_biluo_v1"
BEAM_WIDTH, BEAM_DENSITY = 16, 0.0001
# The method of a recognizer that gives probabilities. It is found by name: a packaged model has a class of its own.
METHOD = "probabilities"
# The methods that give the expected number of entities, how unsure it is of each token, and each tag's probability.
EXPECTED, UNCERTAINTY, TAGS = "expected", "uncertainty", "tag_probabilities"

Key = tuple[int, int, str]


@dataclass(frozen=True)
class Prediction:
    """What a model finds in a passage.

    Attributes:
        spans: The predicted spans.
        probabilities: How probable each of the spans is, and each annotated one; None if the model can't say. A span
            that another component of the pipeline has set, such as a rule, has none.
    """

    spans: list[Span]
    probabilities: dict[Span, float] | None = None


def predict_with_probabilities(nlp: Language, passages: Iterable[Passage]) -> Iterator[Prediction]:
    """Predict spans with their probabilities, and the probabilities of the annotated spans.

    Args:
        nlp: The model. Its recognizer's method `probabilities` is asked, if it has one. For spaCy's own recognizer, a
            probability is the share of the beam's parses that have the span, weighted by their probability. That is
            rough, because it was trained greedily: a right span scores higher than a wrong one in two of three pairs.
        passages: What is read. Their annotated spans get a probability, too.

    Yields:
        The prediction for each passage.
    """
    name = _recognizer(nlp)
    exact = name is not None and hasattr(nlp.get_pipe(name), METHOD)
    passages = iter(passages)
    while batch := list(islice(passages, BATCH)):
        texts = [passage.text for passage in batch]
        asked = [passage.spans for passage in batch]
        scored = _probabilities(nlp, name, texts, asked) if name else None
        for number, doc in enumerate(nlp.pipe(texts)):
            spans = [Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
            if scored is None:
                yield Prediction(spans)
                continue
            own = {Span(ent.start_char, ent.end_char, ent.label_): (ent.start, ent.end, ent.label_) for ent in doc.ents}
            foreign = {span for span, key in own.items() if exact and key not in scored[number]}
            keys = {span: key for span, key in (own | _keys(doc, asked[number])).items() if span not in foreign}
            yield Prediction(spans, {span: scored[number].get(key, 0.0) for span, key in keys.items()})


def expected_entities(nlp: Language, texts: Iterable[str]) -> Iterator[dict[str, float]]:
    """Find how many entities of each type a model expects in texts, found and missed ones together.

    Less the sum of the confidences of what it finds, that is the number of entities that it expects to have missed.

    Args:
        nlp: The model. Its recognizer's method `expected` is asked.
        texts: The texts, which may be a stream.

    Yields:
        For each text the expected number by entity type, without the entities that other components set, such as rules.

    Raises:
        UserError: The model has no recognizer that can tell, as spaCy's `ner` can't.
    """
    return _expected_entities(nlp, recognizer_with(nlp, EXPECTED), iter(texts))


def recognizer_with(nlp: Language, method: str) -> str:
    """Find the recognizer of a model that can say more than its entities.

    Args:
        nlp: The model.
        method: The method that it must have.

    Returns:
        The component's name.

    Raises:
        UserError: There is none.
    """
    name = _recognizer(nlp)
    if name is None or not hasattr(present(nlp, name, method), method):
        raise UserError(*_can_not_tell(nlp, name, method))
    return name


def present(nlp: Language, name: str, method: str) -> Any:
    """Give a recognizer, in the form that this version has.

    A package brings a copy of its recognizer's class, which may lack methods that came later. What the model has
    learned is the same.

    Args:
        nlp: The model.
        name: The recognizer's name.
        method: The method that it must have.
    """
    recognizer: Any = nlp.get_pipe(name)
    if hasattr(recognizer, method) or nlp.get_pipe_meta(name).factory != OWN_FACTORY:
        return recognizer
    from spacy_domain_ner.components.biluo_ner import BiluoNER

    made = BiluoNER(nlp.vocab, recognizer.model, name)
    made.cfg = recognizer.cfg
    return made


def _expected_entities(nlp: Language, name: str, texts: Iterator[str]) -> Iterator[dict[str, float]]:
    recognizer = present(nlp, name, EXPECTED)
    while batch := list(islice(texts, BATCH)):
        yield from recognizer.expected(before_recognizer(nlp, name, batch))


def _can_not_tell(nlp: Language, name: str | None, method: str) -> tuple[str, str]:
    what = {
        EXPECTED: "how many entities it expects",
        UNCERTAINTY: "how unsure it is of each word",
        TAGS: "how probable each tag of a word is",
    }[method]
    if name is None:
        return f"This model has no recognizer that says {what}", "Name a trained model."
    if isinstance(nlp.get_pipe(name), EntityRecognizer):
        return (
            f"spaCy's recognizer `ner` does not say {what}: it decides step by step, and has no probability for what "
            "it does not find",
            f"Train with this plugin's recognizer, as the configs of a new project do: factory = {OWN_FACTORY!r}.",
        )
    return (
        f"This model was packaged by an earlier version, whose recognizer does not say {what}",
        f"Name the model's folder and not its package: {nlp.path}",
    )


def before_recognizer(nlp: Language, name: str, texts: list[str]) -> list[Doc]:
    """Read texts as far as a recognizer, which keeps the entities that a document already has."""
    return list(nlp.pipe(texts, disable=nlp.pipe_names[nlp.pipe_names.index(name) :]))


def _recognizer(nlp: Language) -> str | None:
    """The name of the component that can say how sure it is; None where none or several can."""
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, EntityRecognizer) or hasattr(pipe, METHOD)]
    return names[0] if len(names) == 1 else None


def _probabilities(
    nlp: Language, name: str, texts: list[str], asked: Sequence[Iterable[Span]]
) -> list[dict[Key, float]]:
    docs = before_recognizer(nlp, name, texts)
    recognizer: Any = nlp.get_pipe(name)
    if hasattr(recognizer, METHOD):
        wanted = [list(_keys(doc, spans).values()) for doc, spans in zip(docs, asked, strict=True)]
        scored: list[dict[Key, float]] = recognizer.probabilities(docs, wanted)
        for doc, shares in zip(docs, scored, strict=True):
            for ent in doc.ents:
                shares.pop((ent.start, ent.end, ent.label_), None)
        return scored
    beams = recognizer.beam_parse(docs, beam_width=BEAM_WIDTH, beam_density=BEAM_DENSITY)
    return [{key: min(1.0, score) for key, score in scored.items()} for scored in recognizer.scored_ents(beams)]


def _keys(doc: Doc, spans: Iterable[Span]) -> dict[Span, Key]:
    """The spans that tokens can express, by their tokens."""
    found = {}
    for span in spans:
        if 0 <= span.start < span.end <= len(doc.text) and (tokens := doc.char_span(span.start, span.end)) is not None:
            found[span] = (tokens.start, tokens.end, span.label)
    return found
