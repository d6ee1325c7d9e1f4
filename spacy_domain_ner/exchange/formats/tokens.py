"""Passages as tokens with tags: cut by a pipeline's tokenizer, and at the edges of spans, so that no span is lost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.corpus.passage import Passage, Span

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Tokens:
    """A passage in tokens.

    Attributes:
        passage: The passage. Its spans do not overlap.
        places: The start and end of each token, in code points. White space may be a token.
        cut: The spans at whose edges a token of the tokenizer was cut.
    """

    passage: Passage
    places: list[tuple[int, int]]
    cut: list[Span]

    def words(self) -> tuple[list[str], list[str]]:
        """The tokens without white space, and the tag of each, by IOB2."""
        words, tags = [], []
        spans = sorted(self.passage.spans)
        begun: Span | None = None
        for start, end in self.places:
            for word in _WORD.finditer(self.passage.text, start, end):
                while spans and spans[0].end <= word.start():
                    spans.pop(0)
                inside = spans[0] if spans and spans[0].start <= word.start() else None
                words.append(word[0])
                tags.append("O" if inside is None else f"{'I' if begun is inside else 'B'}-{inside.label}")
                begun = inside
        return words, tags

    def doc(self, nlp: "Language") -> "Doc":
        """The passage as a Doc with its entities; of the tokens of its unknown parts, nothing is said."""
        from spacy.tokens import Doc

        text = self.passage.text
        words: list[str] = []
        spaces: list[bool] = []
        for index, (start, end) in enumerate(self.places):
            following = self.places[index + 1][0] if index + 1 < len(self.places) else len(text)
            words.append(text[start:end])
            spaces.append(following == end + 1)
        doc = Doc(nlp.vocab, words=words, spaces=spaces)
        ents = [doc.char_span(span.start, span.end, label=span.label) for span in self.passage.spans]
        found = [ent for ent in ents if ent is not None]
        unknown = {
            token.i
            for part in self.passage.unknown
            for token in doc
            if token.idx < part.end and part.start < token.idx + len(token)
        } - {token.i for ent in found for token in ent}
        doc.set_ents(found, missing=[doc[index : index + 1] for index in sorted(unknown)], default="outside")
        return doc


def tokenize(nlp: "Language", passage: Passage) -> Tokens:
    """Cut a passage into tokens.

    Args:
        nlp: A pipeline, whose tokenizer is used.
        passage: The passage. Its spans must lie inside the text, and begin and end with a character that is not white
            space; they must not overlap.
    """
    edges = sorted({edge for span in passage.spans for edge in (span.start, span.end)})
    places: list[tuple[int, int]] = []
    inner: set[int] = set()
    for token in nlp.make_doc(passage.text):
        start, end = token.idx, token.idx + len(token)
        cuts = [edge for edge in edges if start < edge < end]
        inner.update(cuts)
        places += zip([start, *cuts], [*cuts, end], strict=True)
    return Tokens(passage, places, [span for span in passage.spans if {span.start, span.end} & inner])


def conll_lines(tokens: Tokens) -> list[str]:
    """The lines of a passage in CoNLL's form with two columns: a token and its tag, with a blank between them."""
    return [f"{word} {tag}" for word, tag in zip(*tokens.words(), strict=True)]


def huggingface_row(tokens: Tokens, identity: str) -> dict[str, Any]:
    """The row of a passage as Hugging Face's data sets have it, with its text beside the tokens.

    Args:
        tokens: The passage.
        identity: The row's id.
    """
    words, tags = tokens.words()
    passage = tokens.passage
    row: dict[str, Any] = {"id": identity, "text": passage.text, "tokens": words, "ner_tags": tags}
    # The same keys in every row: where one lacks a key, data sets have a null.
    return {**row, "source": str(passage.meta["source"]) if passage.meta.get("source") is not None else None}


def to_docbin(docs: Sequence["Doc"], passages: Sequence[Passage]) -> bytes:
    """Docs as spaCy's binary file, each with what its passage's source says of it.

    Args:
        docs: The Docs.
        passages: Their passages.
    """
    from spacy.tokens import DocBin

    docbin = DocBin(store_user_data=True)
    for doc, passage in zip(docs, passages, strict=True):
        doc.user_data["meta"] = passage.meta
        docbin.add(doc)
    return docbin.to_bytes()
