"""The software pack: its entity types and its starter corpus hold what they promise."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import spacy

from spacy_domain_ner.annotation.agreement import measure_agreement
from spacy_domain_ner.corpus import read_passages
from spacy_domain_ner.corpus.checks import check_corpus
from spacy_domain_ner.deployment.try_package import read_sentences
from spacy_domain_ner.schema import read_schema
from spacy_domain_ner.tokenization import create_customize_tokenizer

PACK = Path(__file__).parents[1] / "assets/software"
SCHEMA = read_schema(PACK / "entity_types.yml")
REAL = Path(__file__).parents[2] / "shared/data/real-passages/open.jsonl"
AGREEMENT = Path(__file__).parents[1] / "benchmarks/agreement"
READ = read_passages(PACK / "starter.jsonl")


def test_every_passage_is_sound():
    report = check_corpus(READ, SCHEMA, create_customize_tokenizer()(spacy.blank("en")))
    assert [str(finding) for finding in report.errors] == []
    assert {finding.kind for finding in report.warnings} <= {"misaligned"}
    assert len(report.warnings) <= 2 * sum(count.mentions for count in report.types.values()) / 1000


def test_there_is_enough_of_every_type_and_of_passages_without_any():
    forms = defaultdict(set)
    mentions: Counter[str] = Counter()
    for passage in READ.passages:
        for span in passage.spans:
            mentions[span.label] += 1
            forms[span.label].add(passage.surface(span))
    assert len(READ.passages) >= 2000
    assert all(mentions[label] >= 600 for label in SCHEMA.labels), mentions
    assert all(len(forms[label]) >= 300 for label in SCHEMA.labels)
    assert sum(not passage.spans for passage in READ.passages) >= 0.2 * len(READ.passages)


def test_every_passage_says_its_genre_and_its_source():
    assert all({"genre", "source"} <= set(passage.meta) for passage in READ.passages)
    assert len({passage.meta["genre"] for passage in READ.passages}) >= 12


def test_no_two_passages_are_made_by_one_pattern():
    """Masked of their mentions, no two share more than a third of their word 5-grams."""
    grams = [five_grams(passage) for passage in READ.passages]
    having = defaultdict(list)
    for number, passage_grams in enumerate(grams):
        for gram in passage_grams:
            having[gram].append(number)
    shared = Counter((a, b) for numbers in having.values() for a in numbers for b in numbers if a < b)
    alike = [
        (READ.passages[a].line, READ.passages[b].line)
        for (a, b), number in shared.items()
        if number > min(len(grams[a]), len(grams[b])) / 3
    ]
    assert alike == []


def test_nothing_is_taken_from_the_real_passages():
    if not REAL.exists():
        pytest.skip("the real passages are not beside this repository")
    real = set().union(*(word_grams(passage.text, 6) for passage in read_passages(REAL).passages))
    assert [passage.line for passage in READ.passages if word_grams(passage.text, 6) & real] == []


def test_two_annotations_agree():
    result = measure_agreement(
        [AGREEMENT / "first.jsonl", AGREEMENT / "second.jsonl"], schema=PACK / "entity_types.yml"
    )
    assert result.measured == result.passages >= 300
    assert all(one.f1 >= 0.92 for one in result.types.values()), result.types


def five_grams(passage):
    text = passage.text
    for span in sorted(passage.spans, reverse=True):
        text = f"{text[: span.start]} MENTION {text[span.end :]}"
    return word_grams(text, 5)


def word_grams(text, size):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


@pytest.mark.parametrize("entity_type", SCHEMA.entity_types, ids=SCHEMA.labels)
def test_every_entity_type_is_described(entity_type):
    assert entity_type.definition
    assert 5 <= len(entity_type.examples) <= 10
    assert len(entity_type.edge_cases) >= 5
    assert entity_type.not_entities


def test_the_sentences_to_try_are_labelled_with_the_types():
    for sentence in read_sentences(PACK / "sentences.yml"):
        assert set(sentence.entities.values()) <= set(SCHEMA.labels)
        assert all(form in sentence.text for form in sentence.entities)
