"""Extraction of what a model is sure enough of."""

import json
from pathlib import Path

import pytest
import spacy
from helpers.memorized import memorized

from spacy_domain_ner import Entity, Extractor, UserError, extract_entities, extract_files
from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.confidence import calibrate
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.extraction.extractor import Thresholds

TEXT = "checkout-api calls Redis"
SERVICE, INFRA = Span(0, 12, "SERVICE"), Span(19, 24, "INFRA")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model that finds two entities, and by its early-stopping set is right in the second only."""
    nlp = memorized(FACTORY, [Passage(TEXT, [SERVICE, INFRA])])
    # Their estimates differ a little, and so do they after calibration.
    assert calibrate(nlp, [Passage(TEXT, [INFRA])] * 30)
    path = tmp_path_factory.mktemp("model") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture
def texts(tmp_path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"text": TEXT}) + "\n")
    return path


def found(folder, texts, tmp_path, **options) -> list[str]:
    output = tmp_path / "entities.jsonl"
    extract_files(folder, [texts], output, **options)
    [row] = [json.loads(line) for line in output.read_text().splitlines()]
    assert all(0 <= entity["confidence"] <= 1 for entity in row["entities"])
    return [entity["type"] for entity in row["entities"]]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_less_sure_is_left_out(folder, texts, tmp_path, workers):
    sure = {entity["type"]: entity["confidence"] for entity in extract_entities(spacy.load(folder), TEXT)}
    assert found(folder, texts, tmp_path) == ["SERVICE", "INFRA"]
    assert found(folder, texts, tmp_path, workers=workers, min_confidence=["1"]) == []
    of_one = [f"SERVICE={min(1.0, sure['SERVICE'] + 0.001)}"]
    assert found(folder, texts, tmp_path, workers=workers, min_confidence=of_one) == ["INFRA"]
    # What is given for a type counts for it, whatever is given for all.
    assert found(folder, texts, tmp_path, min_confidence=["1", "INFRA=0"]) == ["INFRA"]


def test_a_wanted_precision_takes_the_thresholds_that_the_model_keeps(folder, texts, tmp_path):
    assert found(folder, texts, tmp_path, precision=0.9) == ["INFRA"]
    assert found(folder, texts, tmp_path, precision=0.02) == ["SERVICE", "INFRA"]


def test_a_type_of_which_no_entity_is_sure_enough_is_named(folder, texts, domain_ner):
    assert Thresholds.of(spacy.load(folder), precision=0.9).unreachable == ("SERVICE",)
    done = domain_ner("extract", folder, texts, "-o", texts.with_name("out.jsonl"), "--precision", 0.9)
    assert done.code == 0
    assert "SERVICE: none is kept, no confidence reached a precision of 0.9" in done.err


def test_a_type_with_too_few_entities_to_tell_is_kept_or_dropped_as_asked_and_named(texts, tmp_path, domain_ner):
    nlp = memorized(FACTORY, [Passage(TEXT, [SERVICE, INFRA])])
    # Seven right ones can't show a precision of 0.9; eight can, by Laplace's rule.
    assert calibrate(nlp, [Passage(TEXT, [SERVICE, INFRA])] * 7)
    nlp.to_disk(tmp_path / "few")
    assert found(tmp_path / "few", texts, tmp_path, precision=0.9) == ["SERVICE", "INFRA"]
    assert found(tmp_path / "few", texts, tmp_path, precision=0.9, keep_unproven=False) == []
    assert found(tmp_path / "few", texts, tmp_path, precision=0.8, keep_unproven=False) == ["SERVICE", "INFRA"]
    asked = ("extract", tmp_path / "few", texts, "-o", tmp_path / "o.jsonl", "--precision", 0.9)
    assert "SERVICE: all are kept, too few were held out" in domain_ner(*asked).err
    assert "SERVICE: none is kept, too few were held out" in domain_ner(*asked, "--drop-unproven").err
    assert calibrate(nlp, [Passage(TEXT, [SERVICE, INFRA])] * 8)
    assert Thresholds.of(nlp, precision=0.9, keep_unproven=False).unproven == ()


@pytest.mark.parametrize(
    ("min_confidence", "kept"),
    [
        (0, ["SERVICE", "INFRA"]),
        (1.0, []),
        ("1", []),
        ({"SERVICE": 1.0}, ["INFRA"]),
        ({"": 1.0, "SERVICE": 0}, ["SERVICE"]),
        (["1", "INFRA=0"], ["INFRA"]),
    ],
)
def test_a_threshold_is_a_number_or_numbers_by_type_or_as_on_the_command_line(folder, min_confidence, kept):
    [entities] = Extractor(folder, min_confidence=min_confidence)([TEXT])
    assert [entity.type for entity in entities] == kept


def test_thresholds_can_be_applied_to_what_was_found_before(folder):
    extractor = Extractor(folder)
    [entities] = extractor([TEXT])
    thresholds = Thresholds.of(extractor.nlp, {"SERVICE": 1.0})
    assert [entity.type for entity in entities if thresholds.keeps(entity)] == ["INFRA"]
    assert thresholds.keeps(Entity("x", "SERVICE", 0, 1))


def test_another_threshold_is_another_run(folder, texts, tmp_path):
    output = tmp_path / "entities.jsonl"
    extract_files(folder, [texts], output)
    before = output.read_text()
    extract_files(folder, [texts], output, min_confidence=["1"])
    assert output.read_text() != before


def test_a_model_that_says_nothing_of_it_takes_no_threshold(model, texts, tmp_path):
    with pytest.raises(UserError, match="This model"):
        extract_files(model, [texts], tmp_path / "out.jsonl", min_confidence=["0.5"])
    extract_files(model, [texts], tmp_path / "out.jsonl")
    [row] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert all("confidence" not in entity for entity in row["entities"])
