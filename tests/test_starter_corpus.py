"""The packs: their entity types, starter corpora and sentences hold what they promise."""

import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest
import spacy

from spacy_domain_ner.annotation.agreement import measure_agreement
from spacy_domain_ner.annotation.lint import lint_schema
from spacy_domain_ner.corpus import read_passages
from spacy_domain_ner.corpus.checks import check_corpus
from spacy_domain_ner.deployment.try_package import read_sentences
from spacy_domain_ner.projects.pack import read_pack
from spacy_domain_ner.schema import read_schema
from spacy_domain_ner.tokenization import create_customize_tokenizer_v2

REPOSITORY = Path(__file__).parents[1]
# Every folder with a corpus is a pack.
PACKS = {path.parent.name: path.parent for path in sorted(REPOSITORY.glob("assets/*/starter.jsonl"))}
REAL = REPOSITORY.parent / "shared/data/real-passages/open.jsonl"
AGREEMENT = REPOSITORY / "benchmarks/agreement"
# Passages, mentions and distinct forms of each type, at least.
LEAST = {"software": (2000, 600, 300)}
LEAST_OF_OTHERS = (600, 100, 60)
# The folders with two annotations, and how many passages each has at least.
TWICE = {"software": 300, "software/later": 150, "biomedical": 150, "legal": 150, "legal/later": 40}
TWICE |= {"financial": 150, "financial/later": 60}

every_pack = pytest.mark.parametrize("pack", PACKS)


@cache
def read(pack):
    return read_passages(PACKS[pack] / "starter.jsonl")


@cache
def schema_of(pack):
    return read_schema(PACKS[pack] / "entity_types.yml")


@every_pack
def test_every_passage_is_sound(pack):
    nlp = create_customize_tokenizer_v2(read_pack(PACKS[pack]).rules)(spacy.blank("en"))
    report = check_corpus(read(pack), schema_of(pack), nlp)
    assert [str(finding) for finding in report.errors] == []
    misaligned = [finding for finding in report.warnings if finding.kind == "misaligned"]
    assert len(misaligned) <= 2 * sum(count.mentions for count in report.types.values()) / 1000


@every_pack
def test_there_is_enough_of_every_type_and_of_passages_without_any(pack):
    forms = defaultdict(set)
    mentions: Counter[str] = Counter()
    passages = read(pack).passages
    for passage in passages:
        for span in passage.spans:
            mentions[span.label] += 1
            forms[span.label].add(passage.surface(span))
    least = LEAST.get(pack, LEAST_OF_OTHERS)
    assert len(passages) >= least[0]
    assert all(mentions[label] >= least[1] for label in schema_of(pack).labels), mentions
    assert all(len(forms[label]) >= least[2] for label in schema_of(pack).labels), {k: len(v) for k, v in forms.items()}
    assert sum(not passage.spans for passage in passages) >= 0.2 * len(passages)


@every_pack
def test_every_passage_says_its_genre_and_its_source(pack):
    assert all({"genre", "source"} <= set(passage.meta) for passage in read(pack).passages)
    assert len({passage.meta["genre"] for passage in read(pack).passages}) >= 6


@every_pack
def test_no_two_passages_are_made_by_one_pattern(pack):
    """Masked of their mentions, no two share more than a third of their word 5-grams."""
    passages = read(pack).passages
    grams = [five_grams(passage) for passage in passages]
    having = defaultdict(list)
    for number, passage_grams in enumerate(grams):
        for gram in passage_grams:
            having[gram].append(number)
    shared = Counter((a, b) for numbers in having.values() for a in numbers for b in numbers if a < b)
    alike = [
        (passages[a].line, passages[b].line)
        for (a, b), number in shared.items()
        if number > min(len(grams[a]), len(grams[b])) / 3
    ]
    assert alike == []


def test_nothing_is_taken_from_the_real_passages():
    if not REAL.exists():
        pytest.skip("the real passages are not beside this repository")
    real = set().union(*(word_grams(passage.text, 6) for passage in read_passages(REAL).passages))
    assert [passage.line for passage in read("software").passages if word_grams(passage.text, 6) & real] == []


@pytest.mark.parametrize("folder", TWICE)
def test_two_annotations_agree(folder):
    pack, _, later = folder.partition("/")
    files = [AGREEMENT / folder / "first.jsonl", AGREEMENT / folder / "second.jsonl"]
    result = measure_agreement(files, schema=PACKS[pack] / "entity_types.yml")
    assert result.measured == result.passages >= TWICE[folder]
    assert result.all.f1 >= 0.9
    # Of some types the later passages have too few mentions.
    assert later or all(one.f1 >= 0.9 for one in result.types.values()), result.types


def five_grams(passage):
    text = passage.text
    for span in sorted(passage.spans, reverse=True):
        text = f"{text[: span.start]} MENTION {text[span.end :]}"
    return word_grams(text, 5)


def word_grams(text, size):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


@every_pack
def test_the_guide_lacks_nothing(pack):
    schema = schema_of(pack)
    assert [str(finding) for finding in lint_schema(schema)] == []
    for entity_type in schema.entity_types:
        assert entity_type.definition, entity_type.name
        assert 5 <= len(entity_type.examples) <= 10, entity_type.name
        assert len(entity_type.edge_cases) >= 5, entity_type.name
        assert entity_type.not_entities, entity_type.name


@every_pack
def test_the_sentences_to_try_are_labelled_with_the_types(pack):
    for sentence in read_sentences(PACKS[pack] / "sentences.yml"):
        assert set(sentence.entities.values()) <= set(schema_of(pack).labels)
