"""From passages to spaCy's Doc: the tokenizer that a training config makes, and the DocBin that it trains on."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy import util
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.tokens import Span as DocSpan
from spacy.util import filter_spans

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import OWN, Passage, Span
from spacy_domain_ner.corpus.split import HELD_OUT
from spacy_domain_ner.corpus.times_read import times_read
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import replacing_path
from spacy_domain_ner.models import needed_factories

# The key in `doc.spans` of what is known not to be an entity, as the configs name it to the recognizer.
INCORRECT = "incorrect"


@dataclass(frozen=True)
class Converted:
    """An annotation file that was converted.

    Attributes:
        path: The binary file.
        passages: The number of passages in it.
        missed: The spans that training can't use, as `write_docs` gives them.
        own: The number of the user's own passages: neither a pack's nor with first labels.
        own_times: How often each of the user's own passages is in the file.
    """

    path: Path
    passages: int
    missed: list[tuple[Passage, Span, list[str]]]
    own: int = 0
    own_times: int = 1


def convert(inputs: str | Path | Sequence[str | Path], config: str | Path = "training/config.cfg") -> list[Converted]:
    """Convert annotation files to the binary form that `spacy train` reads, each X.jsonl to X.spacy beside it.

    Args:
        inputs: An annotation file (JSON lines), or several.
        config: The training config, whose tokenizer is used.

    Returns:
        What was written for each file.

    Raises:
        UserError: A file or the config can't be read, or a file can't be written.
    """
    nlp = load_tokenizing_pipeline(config)
    converted = []
    for path in map(Path, [inputs] if isinstance(inputs, (str, Path)) else inputs):
        passages = read_valid_passages(path)
        target = path.with_suffix(".spacy")
        missed = write_docs(nlp, passages, target)
        own = sum(passage.origin == OWN for passage in passages)
        own_times = times_read([] if path.stem in HELD_OUT else passages)[OWN]
        converted.append(Converted(target, len(passages), missed, own, own_times))
    return converted


def load_tokenizing_pipeline(config_path: str | Path) -> Language:
    """Make a pipeline without components, whose tokenizer is the one that training with a config will use.

    Args:
        config_path: A spaCy training config.

    Returns:
        The pipeline, with `[initialize.before_init]` applied.

    Raises:
        UserError: The config is missing, can't be read, or names something that does not exist.
    """
    if not os.path.exists(config_path):
        raise UserError(
            f"There is no config {config_path}",
            "In a project, `weasel run configure` makes training/config.cfg. Or name another config.",
        )
    try:
        config = util.load_config(config_path, interpolate=False)
        lang_cls = util.get_lang_class(config["nlp"]["lang"])
        with needed_factories(()):
            nlp = lang_cls.from_config({"nlp": {**config["nlp"], "pipeline": [], "disabled": []}})
        before_init = config.get("initialize", {}).get("before_init")
        if before_init:
            customize: Callable[[Language], Language] = util.registry.resolve({"callback": before_init})["callback"]
            nlp = customize(nlp)
    except Exception as error:  # configparser, thinc and what the config names each have errors of their own
        raise UserError(
            f"The config {config_path} makes no tokenizer: {reason(error)}", "Fix it, or name another config."
        ) from error
    return nlp


def misaligned_spans(doc: Doc, spans: Iterable[Span]) -> Iterator[tuple[Span, list[str]]]:
    """Find the spans that do not begin and end where tokens do.

    Args:
        doc: The tokens of a passage.
        spans: The passage's spans.

    Yields:
        Such a span, and the tokens that it touches.
    """
    for span in spans:
        if _char_span(doc, span) is None:
            yield span, _touched(doc, span)


def to_doc(nlp: Language, passage: Passage) -> Doc:
    """Make an annotated Doc of a passage.

    The tokens of a span that misses token boundaries, and those of the passage's unknown parts, are marked as missing,
    so that training learns nothing from them. Unmarked, they would teach that no entity is there. What is known to be
    wrong is in `doc.spans`, as far as it begins and ends where tokens do.

    Args:
        nlp: A pipeline with the tokenizer of the training.
        passage: The passage.

    Returns:
        The Doc.
    """
    doc = nlp.make_doc(passage.text)
    ents: list[DocSpan] = []
    missing: set[int] = set()
    for span in passage.spans:
        exact = _char_span(doc, span)
        if exact is not None:
            ents.append(exact)
        else:
            missing |= _tokens(doc, span)
    for part in passage.unknown:
        missing |= _tokens(doc, part)
    ents = filter_spans(ents)
    missing -= {token.i for ent in ents for token in ent}
    known_wrong = [_char_span(doc, span) for span in passage.incorrect]
    if exact_ones := [span for span in known_wrong if span is not None]:
        doc.spans[INCORRECT] = exact_ones
    doc.set_ents(ents, missing=[doc[i : i + 1] for i in sorted(missing)], default="outside")
    return doc


def write_docs(nlp: Language, passages: Iterable[Passage], path: Path) -> list[tuple[Passage, Span, list[str]]]:
    """Write passages as the binary file that `spacy train` reads.

    In a training set passages that say more are there several times: see `times_read`.

    Args:
        nlp: A pipeline with the tokenizer of the training.
        passages: The passages.
        path: The file to write. If `split` gives its name to a set that is held out, each passage is there once.

    Returns:
        The spans that can't be learned, since they miss token boundaries or overlap another span, each with its passage
        and the tokens that it touches.

    Raises:
        UserError: The file can't be written.
    """
    docs = DocBin(store_user_data=True)
    missed = []
    passages = list(passages)
    times = times_read([] if path.stem in HELD_OUT else passages)
    for passage in passages:
        doc = to_doc(nlp, passage)
        kept = {Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}
        missed += [(passage, span, _touched(doc, span)) for span in passage.spans if span not in kept]
        for _ in range(times[passage.origin]):
            docs.add(doc)
    with replacing_path(path) as beside:
        beside.write_bytes(docs.to_bytes())
    return missed


def _char_span(doc: Doc, span: Span, alignment_mode: str = "strict") -> DocSpan | None:
    # spaCy takes a negative offset as one from the end, and fails on an offset beyond C's integers.
    if not 0 <= span.start < span.end <= len(doc.text):
        return None
    return doc.char_span(span.start, span.end, label=span.label, alignment_mode=alignment_mode)


def _tokens(doc: Doc, span: Span) -> set[int]:
    touched = _char_span(doc, span, "expand")
    return set(range(touched.start, touched.end)) if touched is not None else set()


def _touched(doc: Doc, span: Span) -> list[str]:
    return [token.text for token in doc if token.idx < span.end and token.idx + len(token) > span.start]
