"""The extractor: texts and records in, entities out, in batches and in windows of long texts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language

from spacy_domain_ner import Entity, Extractor, UserError, extract_entities, models


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Redis is slow", [("Redis", "INFRA", 0, 5)]),
        ("svc1 calls svc22", [("svc1", "SERVICE", 0, 4), ("svc22", "SERVICE", 11, 16)]),
        ("😀😀 Redis", [("Redis", "INFRA", 3, 8)]),
        ("cafe\u0301 uses Redis", [("Redis", "INFRA", 11, 16)]),
        ("one\r\nRedis\ttwo", [("Redis", "INFRA", 5, 10)]),
        ("\u200b\u00a0 Redis", [("Redis", "INFRA", 3, 8)]),
        ("nothing here", []),
        ("  \n ", []),
        ("", []),
    ],
)
def test_entities_have_their_name_type_and_offsets_in_code_points(
    nlp: Language, text: str, found: list[tuple[str, str, int, int]]
) -> None:
    [entities] = Extractor(nlp)([text])
    assert entities == [Entity(*values) for values in found]
    assert all(text[entity.start : entity.end] == entity.name for entity in entities)
    assert extract_entities(nlp, text) == [entity.to_dict() for entity in entities]


def test_an_entity_in_json_has_a_confidence_only_where_the_model_says_it() -> None:
    plain = {"name": "Redis", "type": "INFRA", "start": 0, "end": 5}
    assert Entity("Redis", "INFRA", 0, 5).to_dict() == plain
    assert Entity("Redis", "INFRA", 0, 5, 0.987654).to_dict() == {**plain, "confidence": 0.9877}
    # The file's keys are in this order.
    assert list(Entity("Redis", "INFRA", 0, 5, 0.5).to_dict()) == ["name", "type", "start", "end", "confidence"]


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_stream_of_texts_is_read_a_batch_at_a_time(nlp: Language, batch_size: int) -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(6):
            read.append(number)
            yield f"svc{number} {'Redis ' * number}"

    found = Extractor(nlp, batch_size=batch_size)(texts())
    assert len(next(found)) == 1
    assert len(read) == min(batch_size, 6)
    assert [len(entities) for entities in found] == [2, 3, 4, 5, 6]


def test_a_model_is_given_by_its_folder_or_as_a_pipeline(model: Path, nlp: Language) -> None:
    assert (
        list(Extractor(model)(["Redis"])) == list(Extractor(str(model))(["Redis"])) == list(Extractor(nlp)(["Redis"]))
    )
    assert Extractor(nlp).nlp is nlp


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"window": -1}, "`window` is -1"),
        ({"min_confidence": 0.5}, "This model"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(nlp: Language, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Extractor(nlp, **settings)


def test_one_text_in_place_of_several_is_an_error_at_once(nlp: Language) -> None:
    with pytest.raises(TypeError, match=r"extractor\(\[text\]\)"):
        Extractor(nlp)("Redis")


def test_what_is_not_a_text_is_named_with_its_place(nlp: Language) -> None:
    with pytest.raises(UserError, match="Text 2 is not a text but of the type NoneType"):
        list(Extractor(nlp)(["Redis", None]))  # type: ignore[list-item]


def test_a_text_that_is_not_unicode_is_named(nlp: Language) -> None:
    with pytest.raises(UserError, match="Text 2 is not Unicode text: half of a surrogate pair at offset 1"):
        list(Extractor(nlp)(["Redis", "a\ud83d"]))


def test_words_are_forgotten_again_once_the_common_ones_are_known(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.load(model)
    monkeypatch.setattr(models, "KEPT_WORDS", len(nlp.vocab) + 10)
    extractor = Extractor(nlp)
    sizes = []
    for batch in range(5):
        texts = [f"svc{batch} svc{batch}{n} Redis" for n in range(20)]
        assert sum(map(len, extractor(texts))) == 60
        sizes.append(len(nlp.vocab.strings))
    assert sizes[0] == sizes[-1]


def test_a_caller_may_use_the_pipeline_between_two_texts_and_open_a_memory_zone(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "KEPT_WORDS", 0)
    extractor = Extractor(model, batch_size=2)
    for entities in extractor(["Redis", "svc1 svc2", "Kafka"]):
        # In a zone that was still open, this word would be forgotten.
        kept = extractor.nlp(f"word{len(entities)}")
    assert [token.text for token in kept] == ["word1"]
    assert [token.text for token in extractor.nlp("word2")] == ["word2"]
    with extractor.nlp.memory_zone():
        assert [len(entities) for entities in extractor(["Redis", "Kafka"])] == [1, 1]


SENTENCES = ["svc1 calls Redis.", "Is Kafka slow?", "(svc22 waits 😀!)", "All is well…", "Redis and Kafka are up."]


@pytest.mark.parametrize("window", [25, 40, 100, 1000])
def test_a_long_text_that_is_cut_at_sentence_ends_gives_what_its_sentences_give(nlp: Language, window: int) -> None:
    sentences = SENTENCES * 7
    text = " ".join(sentences)
    expected, start = [], 0
    for sentence, entities in zip(sentences, Extractor(nlp)(sentences), strict=True):
        expected += [(start + entity.start, start + entity.end, entity.type) for entity in entities]
        start += len(sentence) + 1
    # Short texts beside it stay by themselves, whatever batches the windows fall in.
    before, found, after = Extractor(nlp, window=window, batch_size=3)(["Redis", text, "svc1 Kafka"])
    assert [(entity.start, entity.end, entity.type) for entity in found] == expected
    assert all(text[entity.start : entity.end] == entity.name for entity in found)
    assert (len(before), len(after)) == (1, 2)


def test_a_text_longer_than_the_model_takes_is_read_in_windows(model: Path) -> None:
    nlp = spacy.load(model)
    nlp.max_length = 50
    text = "svc1 calls Redis. " * 20
    assert len(extract_entities(nlp, text)) == 40
    # What is asked for can't be more than the model takes.
    assert Extractor(nlp, window=1000).window == 50


def test_records_come_back_with_their_entities(nlp: Language) -> None:
    records = [{"id": 7, "text": "Redis"}, '{"text": "none", "meta": {"a": [1]}}', b'{"text": "svc1 \xc3\xa9"}\n']
    found = list(Extractor(nlp).records(records))
    assert found == [
        {"id": 7, "text": "Redis", "entities": [{"name": "Redis", "type": "INFRA", "start": 0, "end": 5}]},
        {"text": "none", "meta": {"a": [1]}, "entities": []},
        {"text": "svc1 é", "entities": [{"name": "svc1", "type": "SERVICE", "start": 0, "end": 4}]},
    ]
    assert records[0] == {"id": 7, "text": "Redis"}
    [other] = Extractor(nlp).records([{"body": "Redis", "text": None}], text_key="body")
    assert len(other["entities"]) == 1


def test_a_record_that_can_not_be_read_is_an_error_or_is_handed_over(nlp: Language) -> None:
    records = ["{broken", {"text": "Redis"}, {"text": 3}, {"no": "text"}, {"text": "a\ud83d"}, json.dumps(["a"])]
    with pytest.raises(UserError, match="Record 1 can't be read: "):
        list(Extractor(nlp).records(records))
    refused: list[int] = []
    [record] = Extractor(nlp).records(records, refused=lambda number, reason: refused.append(number))
    assert record["text"] == "Redis"
    assert refused == [1, 3, 4, 5, 6]
    with pytest.raises(UserError, match="`text_key` is 'entities'"):
        Extractor(nlp).records([], text_key="entities")


def test_entities_and_what_is_expected_come_from_one_reading_and_are_those_of_two(knowing: Path) -> None:
    extractor = Extractor(knowing, batch_size=2, window=40)
    recognizer = extractor.nlp.get_pipe("ner")
    texts = [
        "The billing-api-1 fails since Redis is slow.",
        "",
        "3: The billing-api-3 fails since Kafka is slow.",
        "No",
    ]
    separate = list(zip(extractor(texts), extractor.expected(texts), strict=True))
    times: list[int] = []
    forward = recognizer.model._func

    def counted(*given: Any, **settings: Any) -> Any:
        times.append(1)
        return forward(*given, **settings)

    recognizer.model._func = counted
    together = list(extractor.with_expected(texts))
    assert [entities for entities, _ in together] == [entities for entities, _ in separate]
    for (_, counts), (_, alone) in zip(together, separate, strict=True):
        assert counts == pytest.approx(alone)
    assert recognizer.kept_scores is None
    # Five pieces, two at a time.
    assert len(times) == 3


def test_scores_are_not_kept_for_tokens_that_a_later_component_has_changed(knowing: Path) -> None:
    nlp = spacy.load(knowing)
    nlp.add_pipe("merge_entities", last=True)
    [(entities, counts)] = Extractor(nlp).with_expected(["The billing-api-1 fails since Redis Kafka is slow."])
    assert [entity.type for entity in entities].count("SERVICE") == 1
    assert counts["SERVICE"] > 0
