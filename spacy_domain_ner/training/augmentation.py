"""Names that training has not seen: each training passage is shown again with other names in place of its own, and some
are shown in lower case.

Most names in a domain's text are not in its training passages. A recognizer that learns from few passages learns their
names by heart and misses all others. With other names in the same places, it learns the places and how names are
written. In lower case, it learns to find a name by its place and by what is known of its words, not only by capitals.
"""

import random
import string
from collections.abc import Callable, Iterator

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

# A token's text, and whether a blank follows it.
Token = tuple[str, bool]

# The characters of a word that are kept at each end: the features of a token see those best.
_KEPT_START, _KEPT_END = 1, 3


@spacy.registry.augmenters("spacy_domain_ner.unseen_names.v1")
def create_unseen_names_augmenter(
    swapped: float = 0.4, invented: float = 0.4, lower_case: float = 0.0
) -> Callable[..., Iterator[Example]]:
    """Make an augmenter for `[corpora.train.augmenter]`. Only training needs it: no model refers to it.

    Args:
        swapped: The share of the mentions that are replaced by another mention of the same type.
        invented: The share of the mentions whose letters and digits are replaced by others of the same kind.
        lower_case: The share of the passages, with their own names or others, of which every word is in lower case.

    Returns:
        A function that yields each passage and, if it has mentions, the passage with other names.
    """
    mentions: dict[str, list[list[Token]]] = {}
    seen: set[str] = set()

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        yield _sometimes_in_lower_case(nlp, example, lower_case)
        doc = example.reference
        if doc.text not in seen:
            # Each epoch reads the passages again: their mentions are collected in the first.
            seen.add(doc.text)
            for ent in doc.ents:
                mentions.setdefault(ent.label_, []).append(_tokens(ent))
        if doc.ents:
            renamed = _with_other_names(nlp, doc, mentions, swapped, invented)
            yield _sometimes_in_lower_case(nlp, renamed, lower_case)

    return augment


def _sometimes_in_lower_case(nlp: Language, example: Example, share: float) -> Example:
    # Where there is no chance of it none is drawn: an older config trains the same model as before.
    if not share or random.random() >= share:
        return example
    doc = example.reference
    tokens = [(word.lower(), blank) for word, blank in _tokens(doc[:])]
    ents = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
    missing = [(token.i, token.i + 1) for token in doc if not token.ent_iob]
    lowered = _example(nlp, tokens, ents, missing)
    for key, spans in doc.spans.items():
        # What is known not to be an entity.
        lowered.reference.spans[key] = [Span(lowered.reference, s.start, s.end, label=s.label) for s in spans]
    return lowered


def _with_other_names(
    nlp: Language, doc: Doc, mentions: dict[str, list[list[Token]]], swapped: float, invented: float
) -> Example:
    tokens: list[Token] = []
    ents: list[tuple[int, int, str]] = []
    missing: list[tuple[int, int]] = []
    done = 0
    for ent in [*doc.ents, None]:
        between = doc[done : ent.start if ent else len(doc)]
        # The tokens of spans that miss token boundaries stay unknown, as in the passage itself.
        missing += [(len(tokens) + i, len(tokens) + i + 1) for i, token in enumerate(between) if not token.ent_iob]
        tokens += _tokens(between)
        if ent is None:
            break
        name = _tokens(ent)
        chance = random.random()
        if chance < swapped:
            name = random.choice(mentions[ent.label_])
        elif chance < swapped + invented:
            name = [(_invent(word), blank) for word, blank in name]
        ents.append((len(tokens), len(tokens) + len(name), ent.label_))
        tokens += [*name[:-1], (name[-1][0], bool(ent[-1].whitespace_))]
        done = ent.end
    return _example(nlp, tokens, ents, missing)


def _example(
    nlp: Language, tokens: list[Token], ents: list[tuple[int, int, str]], missing: list[tuple[int, int]]
) -> Example:
    """Put a passage together from its tokens, its mentions, and the tokens of which nothing is known."""
    words, blanks = [word for word, _ in tokens], [blank for _, blank in tokens]
    reference = Doc(nlp.vocab, words=words, spaces=blanks)
    reference.set_ents(
        [Span(reference, start, end, label=label) for start, end, label in ents],
        missing=[reference[start:end] for start, end in missing],
        default="outside",
    )
    return Example(Doc(nlp.vocab, words=words, spaces=blanks), reference)


def _tokens(span: Span) -> list[Token]:
    return [(token.text, bool(token.whitespace_)) for token in span]


def _invent(word: str) -> str:
    """Make another word of the same shape, with the same first letter; a long word keeps its ending."""
    end = len(word) - _KEPT_END if len(word) > _KEPT_START + _KEPT_END + 1 else len(word)
    return word[:_KEPT_START] + "".join(map(_another, word[_KEPT_START:end])) + word[end:]


def _another(character: str) -> str:
    for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        if character in alphabet:
            return random.choice(alphabet)
    return character
