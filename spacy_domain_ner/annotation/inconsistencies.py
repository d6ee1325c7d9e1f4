"""Surface forms that are annotated in different ways: here as one type, there as another or not at all."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.label_issues import Inconsistency

# Occurrences that a form needs before anything can be said of it.
FEWEST = 3
# Passages that are shown for each way to annotate a form.
EXAMPLES = 2
WORD = re.compile(r"\w+|[^\w\s]")


def find_inconsistencies(passages: Sequence[Passage]) -> list[Inconsistency]:
    """Find the surface forms that are not always annotated the same way.

    An occurrence inside an annotated span, or across its border, is not counted: `Redis` in `Redis Labs` is another
    name.

    Args:
        passages: Annotated passages.

    Returns:
        The forms, first those whose exceptions look most like slips: those that are nearly always annotated one way (19
        of 20 rather than 12 of 20). Words that are mostly not annotated come last: many a common word is a name now and
        then.
    """
    forms = {passage.surface(span) for passage in passages for span in passage.spans}
    first_words: dict[str, list[str]] = defaultdict(list)
    for form in forms:
        if word := WORD.match(form):
            first_words[word[0]].append(form)
    ways: dict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[str, dict[str, list[tuple[Passage, int]]]] = defaultdict(lambda: defaultdict(list))
    for passage in passages:
        for span in [*passage.spans, *passage.judged(_unannotated(passage, first_words))]:
            form = passage.name(span)
            ways[form][span.label] += 1
            if len(shown := examples[form][span.label]) < EXAMPLES:
                shown.append((passage, span.start))
    found = [
        Inconsistency(form, dict(labels.most_common()), {label: examples[form][label] for label in labels})
        for form, labels in ways.items()
        if len(labels) > 1 and labels.total() >= FEWEST
    ]
    return sorted(found, key=lambda item: (next(iter(item.labels)) == "", -_like_a_slip(item), item.form))


def _like_a_slip(item: Inconsistency) -> float:
    """How far the most frequent way outweighs the others.

    That is its share less one standard error, so that few occurrences count for less, with one occurrence of each kind
    added (A. Agresti and B. Coull, Approximate Is Better than "Exact", 1998, give the reason for adding some).
    """
    counts = list(item.labels.values())
    total = sum(counts) + 2
    share = (max(counts) + 1) / total
    return share - (share * (1 - share) / total) ** 0.5


def _unannotated(passage: Passage, first_words: dict[str, list[str]]) -> Iterator[Span]:
    """Where known forms stand as whole words without being annotated; of several that begin at a place, the longest."""
    spans = sorted(passage.spans)
    number, taken = 0, 0
    for word in WORD.finditer(passage.text):
        start = word.start()
        while number < len(spans) and spans[number].start <= start:
            taken = max(taken, spans[number].end)
            number += 1
        if start < taken or word[0] not in first_words:
            continue
        following = spans[number].start if number < len(spans) else len(passage.text)
        ends = [start + len(form) for form in first_words[word[0]] if passage.text.startswith(form, start)]
        ends = [end for end in ends if end <= following and _whole(passage.text, start, end)]
        if ends:
            taken = max(ends)
            yield Span(start, taken, "")


def _whole(text: str, start: int, end: int) -> bool:
    """Whether a form is not part of a longer name: a hyphen or a dot may continue it, and then it is another name."""
    before, after = text[:start][-1:], text[end : end + 2]
    inside = re.match(r"\w|[-./]\w", after)
    return not inside and not re.match(r"[\w\-./]", before)
