"""When two passages count as the same. There are three answers, each for a purpose of its own.

**Exact text and source** (`Passage.identity`) is for files that an earlier run wrote about the same annotation file:
the predictions of an earlier model, the suspects of an earlier run. Their spans point into the exact text, so a passage
whose text has changed at all is another passage there.

**Text alone, normalized** (`text_identity`) is for the split and the check. The same text on the training side and on
the evaluation side flatters the evaluation, whatever source it names and whatever white space it has.

**Normalized text and source** (`passage_key`) is for what comes back from another tool: tools change white space and
Unicode form, and a passage must find its old annotation all the same. The same text from two sources stays two
passages: people may annotate them differently, and a split keeps each with the others of its source.
"""

import unicodedata
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from spacy_domain_ner.corpus.passage import PART_OF, PART_START


def text_identity(text: str) -> str:
    """Normalize a text: two texts are the same where this is equal.

    Args:
        text: Any text.

    Returns:
        Its composed Unicode form (NFC), with each run of white space as one blank and none at the ends.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def passage_key(text: str, meta: Mapping[str, Any], with_annotator: bool = False) -> bytes:
    """Compute the key of a passage: two passages are the same where this is equal.

    Args:
        text: The passage's text.
        meta: What its source says about it: `source`, perhaps `annotator`, and where it was cut out of another.
        with_annotator: Whether the versions of several annotators are passages of their own.

    Returns:
        A digest of 16 bytes. An index of whole texts would be as large as the texts.
    """
    source = meta.get("source")
    parts = [text_identity(text), "" if source is None else str(source)]
    if PART_OF in meta:
        # The same sentence may come twice in one passage.
        parts.append(f"{meta[PART_OF]}:{meta.get(PART_START)}")
    if with_annotator:
        parts.append(str(meta.get("annotator", "")))
    # Another tool may give halves of surrogate pairs.
    return blake2b("\0".join(parts).encode("utf8", "surrogatepass"), digest_size=16).digest()
