"""From an annotated document to passages: one for each of its sentences."""

from collections.abc import Iterator, Sequence

from spacy_domain_ner.exchange.formats.version import RawSpan, Version

JOINED = "a span crosses the border of its sentences, so {count} are one passage"


def cut_into_sentences(
    text: str, sentences: Sequence[tuple[int, int]], spans: Sequence[RawSpan]
) -> Iterator[tuple[int, Version]]:
    """Make a version of each sentence. Sentences that a span crosses stay together.

    Args:
        text: The document.
        sentences: Each sentence's start and end, in code points; without any, the document is one passage.
        spans: The spans in the document, with offsets in code points.

    Yields:
        The number of a passage's first sentence, counted from 0, and its version.
    """
    ranges = [(number, start, end) for number, (start, end) in sorted(enumerate(sentences), key=lambda one: one[1])]
    inside = [any(start <= span.start < end for _, start, end in ranges) for span in spans]
    if not ranges or not all(inside):
        # A span that no sentence has would be lost.
        ranges = [(0, 0, len(text))]
    place = 0
    while place < len(ranges):
        number, start, end = ranges[place]
        own = [span for span in spans if start <= span.start < end]
        last = place
        while own and last + 1 < len(ranges) and max(span.end for span in own) > ranges[last + 1][1]:
            last += 1
            end = max(end, ranges[last][2])
            own = [span for span in spans if start <= span.start < end]
        version = Version(text[start:end])
        if last > place:
            version.notes.append(JOINED.format(count=last + 1 - place))
        for span in own:
            version.add_span(span.start - start, span.end - start, span.label, span.claim)
        yield number, version
        place = last + 1
