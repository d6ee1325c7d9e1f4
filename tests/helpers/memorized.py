"""A recognizer that knows a few texts by heart, for tests that are about what is made of its entities."""

from collections.abc import Mapping, Sequence
from typing import Any

import spacy
from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_domain_ner.corpus import Passage


def examples_of(nlp: Language, passages: Sequence[Passage]) -> list[Example]:
    """The passages as spaCy trains on them. Their spans must begin and end where tokens do."""
    made = []
    for passage in passages:
        doc = nlp.make_doc(passage.text)
        doc.ents = [doc.char_span(span.start, span.end, label=span.label) for span in passage.spans]
        made.append(Example(nlp.make_doc(passage.text), doc))
    return made


def memorized(
    factory: str, passages: Sequence[Passage], steps: int = 30, config: Mapping[str, Any] | None = None
) -> Language:
    """A pipeline with one component, named ner, after so many steps over the passages; always the same."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe(factory, name="ner", config=dict(config or {}))
    examples = examples_of(nlp, passages)
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    return nlp
