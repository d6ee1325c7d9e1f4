"""Where sentences end, without a model: windows of long texts are cut there, and long passages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.corpus.passage import PART_OF, PART_START, Passage, Relation, Span

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer

# A cut is at the end of the match.
SENTENCE_END = re.compile(
    # A blank line;
    r"\n[^\S\n]*\n\s*"
    # a full stop and white space, unless a small letter follows, as after many abbreviations;
    r"|[.!?…։؟۔।॥።][\"'”’»)\]]*\s+(?![a-zß-öø-ÿα-ωа-я])"
    # a full stop of a script that has no spaces.
    r"|[。！？｡][」』”’）]*\s*"
)
LINE_END = re.compile(r"\n\s*")
_WHITE_SPACE = re.compile(r"\s+")
# Characters before a cut in a run without white space that are read to find where a token begins.
_TOKENIZED = 1_000
# Characters of a sentence from which its line ends count as sentence ends: it is a list, a table or a log.
_LONG_SENTENCE = 1_000
# What a capital letter or a number often follows within a sentence, and the number of a heading or of an item.
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Dr|Mrs?|Ms|Prof|St|Nos?|Nr|Figs?|Eqs?|Tab|Secs?|Vols?|vs|cf|approx|ca|Inc|Ltd|Co|Corp|Abs|Art|Abb"
    r"|bzw|vgl|usw|evtl|inkl|e\.g|i\.e|etc|al)|(?:^|\n)\s*\d{1,3}(?:\.\d{1,3})*)\.\s*$"
)


def cut_at_sentences(passage: Passage, key: bytes, meta: Mapping[str, Any] = {}) -> list[Passage]:
    """Cut a passage into its sentences. No span is cut, and no relation: sentences that one crosses stay together.

    Args:
        passage: The passage.
        key: What identifies it, for the parts' `meta`.
        meta: What else goes there.

    Returns:
        The parts, without the white space between them, each with its place in the passage in its `meta`; the passage
        itself where it has one sentence.
    """
    kept = sorted([*passage.spans, *passage.unknown, *passage.incorrect, *map(_reach, passage.relations or ())])
    parts: list[Passage] = []
    start = 0
    for end in _ends(passage.text, kept):
        text = passage.text[start:end]
        if text.strip():
            first = start + len(text) - len(text.lstrip())
            parts.append(
                _part(passage, first, start + len(text.rstrip()), {**meta, PART_OF: key.hex(), PART_START: first})
            )
        start = end
    if len(parts) < 2:
        return [passage]
    if "id" in passage.extra:
        for number, part in enumerate(parts, 1):
            part.extra = {**part.extra, "id": f"{passage.extra['id']}-{number}"}
    return parts


def windows(text: str, longest: int, tokenizer: "Tokenizer | None" = None) -> Iterator[tuple[int, str]]:
    """Cut a text in windows that do not overlap and leave nothing out.

    A cut is at the last sentence end in the second half of a window; where there is none, at the last line end there;
    else at the last white space of the window; else before its last token. A token that is longer than a window is cut.

    Args:
        text: The text.
        longest: The most characters of a window.
        tokenizer: The pipeline's tokenizer, which tells where tokens begin; None cuts there where the window ends.

    Yields:
        The offset at which a window begins, in code points, and its text. A text that is not too long is one window.
    """
    start = 0
    while len(text) - start > longest:
        end = _find_cut(text, start, start + longest, tokenizer)
        yield start, text[start:end]
        start = end
    yield start, text[start:]


def sentences(text: str) -> list[tuple[int, int]]:
    """Find where the sentences of a text begin and end.

    Args:
        text: The text.

    Returns:
        Starts and ends in code points, one after the other: white space between sentences belongs to the first.
    """
    ends = list(dict.fromkeys(_sentence_ends(text)))
    return [(start, end) for start, end in pairwise([0, *ends]) if start < end]


def _ends(text: str, spans: list[Span]) -> Iterator[int]:
    """The ends of the text's sentences that no span crosses, the last of them the text's."""
    number = furthest = 0
    for end in _sentence_ends(text):
        while number < len(spans) and spans[number].start < end:
            furthest = max(furthest, spans[number].end)
            number += 1
        if furthest <= end:
            yield end
    yield len(text)


def _sentence_ends(text: str) -> Iterator[int]:
    start = 0
    for found in [*SENTENCE_END.finditer(text), None]:
        end = len(text) if found is None else found.end()
        if found is not None and "\n" not in found[0] and _ABBREVIATION.search(text, max(0, start, end - 40), end):
            continue
        if end - start > _LONG_SENTENCE:
            yield from (line.end() for line in LINE_END.finditer(text, start, end - 1))
        yield end
        start = end


def _reach(relation: Relation) -> Span:
    """What must stay together for a relation."""
    ends = relation.head, relation.tail
    return Span(min(end.start for end in ends), max(end.end for end in ends), "")


def _part(whole: Passage, start: int, end: int, place: Mapping[str, Any]) -> Passage:
    def moved(spans: list[Span]) -> list[Span]:
        here = (span for span in spans if start <= span.start < end)
        return [replace(span, start=span.start - start, end=span.end - start) for span in here]

    def both_moved(relation: Relation) -> Relation:
        [head], [tail] = moved([relation.head]), moved([relation.tail])
        return Relation(head, relation.type, tail)

    relations = whole.relations
    if relations is not None:
        relations = [both_moved(one) for one in relations if start <= one.head.start < end]
    meta = {**whole.meta, **place}
    # A split keeps the parts together.
    meta.setdefault("source", f"passage {place[PART_OF][:8]}")
    return Passage(
        whole.text[start:end], moved(whole.spans), meta, whole.extra, unknown=moved(whole.unknown),
        incorrect=moved(whole.incorrect), relations=relations,
    )  # fmt: skip


def _find_cut(text: str, start: int, end: int, tokenizer: "Tokenizer | None" = None) -> int:
    middle = (start + end) // 2
    for place, first in ((SENTENCE_END, middle), (LINE_END, middle), (_WHITE_SPACE, start)):
        cuts = [found.end() for found in place.finditer(text, first, end)]
        if cuts:
            return cuts[-1]
    if tokenizer is None:
        return end
    first = max(start, end - _TOKENIZED)
    last_token = tokenizer(text[first:end])[-1]
    return first + last_token.idx if last_token.idx else end
