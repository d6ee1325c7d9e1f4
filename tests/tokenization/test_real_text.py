"""The tokenizer on real engineering text, where the test data lies beside the repository."""

from pathlib import Path

import pytest
import spacy

from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import misaligned_spans
from spacy_domain_ner.tokenization import create_customize_tokenizer

REPOSITORY = Path(__file__).parents[2]
REAL = REPOSITORY.parent / "shared/data/real-passages/open.jsonl"
STARTER = REPOSITORY / "assets/software/starter.jsonl"


@pytest.mark.parametrize("path", [REAL, STARTER], ids=["real", "starter"])
def test_annotations_begin_and_end_with_tokens_and_endpoints_are_one(path):
    if not path.exists():
        pytest.skip("the real passages are not beside this repository")
    nlp = create_customize_tokenizer()(spacy.blank("en"))
    spans = missed = endpoints = single = 0
    for passage in read_valid_passages(path):
        doc = nlp.make_doc(passage.text)
        spans += len(passage.spans)
        missed += len(list(misaligned_spans(doc, passage.spans)))
        for span in passage.spans:
            if span.label == "ENDPOINT":
                endpoints += 1
                tokens = doc.char_span(span.start, span.end)
                single += tokens is not None and len(tokens) == 1
    assert missed <= 2 * spans / 1000
    assert single >= 0.98 * endpoints
