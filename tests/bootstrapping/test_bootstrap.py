"""From texts and known names to passages that are annotated in part."""

import json

import pytest
from helpers.llm_server import LLMServer, fails, says

from spacy_domain_ner.bootstrapping.bootstrap import bootstrap
from spacy_domain_ner.corpus import Passage, Span, read_valid_passages
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.split import split
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.tasks import export_tasks
from spacy_domain_ner.experiments.comparison import _without_silver
from spacy_domain_ner.schema import EntitySchema, EntityType
from spacy_domain_ner.training import Recipe

SCHEMA = EntitySchema(entity_types=[EntityType(name="PORT"), EntityType(name="SERVICE")])
PORTS = ["Rotterdam", "Port Said", "Aden", "Suez", "Hamburg", "Antwerp", "Genoa", "Piraeus"]
SENTENCES = ["The ship left {} in the evening.", "We wait for the pilot in {} again.", "{} was closed by the storm."]


def sentence(number, name):
    text = SENTENCES[number % 3].format(name)
    return Passage(text, [Span(text.index(name), text.index(name) + len(name), "PORT")], {"source": f"s{number}"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bootstrap")
    (folder / "ports.csv").write_text("name,type\n" + "".join(f"{name},PORT\n" for name in PORTS) + "search,SERVICE\n")
    write_passages(folder / "reviewed.jsonl", [sentence(n, PORTS[n % 8]) for n in range(24)])
    texts = [
        f"{sentence(n, PORTS[n % 8]).text} The crew is number {n}, and we search for Valparaiso." for n in range(60)
    ]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    return folder


def made(folder, **more):
    return bootstrap(
        [folder / "texts.txt"], folder / "silver.jsonl", schema=SCHEMA, gazetteers=[folder / "ports.csv"],
        reviewed=[folder / "reviewed.jsonl"], report=folder / "report.json", **more,
    )  # fmt: skip


def test_known_names_are_sure_ordinary_words_and_unmarked_names_are_unknown(folder):
    made(folder)
    passages = read_valid_passages(folder / "silver.jsonl")
    assert len(passages) == 60
    assert all(passage.is_training_only and passage.is_silver for passage in passages)
    assert {passage.surface(span) for passage in passages for span in passage.spans} == {*PORTS}
    for passage in passages:
        unknown = {passage.surface(part) for part in passage.unknown}
        assert any("search" in part for part in unknown)
        assert any("Valparaiso" in part for part in unknown)


def test_the_report_says_what_each_source_found_and_what_is_left(folder):
    result = made(folder)
    report = json.loads((folder / "report.json").read_text())
    ports = next(row for row in report["sources"] if row["type"] == "PORT")
    assert (ports["found"], ports["reviewed_right"], ports["reviewed_wrong"]) == (60, 24, 0)
    assert ports["precision"] > 0.9
    assert ports["recall"] == 1
    assert report["left_unknown"] == [["search", "SERVICE", 60]]
    assert sum(report["tokens"].values()) == sum(result.tokens)


def test_a_passage_without_a_sure_span_is_left_out(folder, tmp_path):
    (tmp_path / "texts.txt").write_text("We search for Valparaiso every day.\nNobody sees Aden any more.\n")
    result = bootstrap([tmp_path / "texts.txt"], schema=SCHEMA, gazetteers=[folder / "ports.csv"])
    assert [passage.text for passage in result.passages] == ["Nobody sees Aden any more."]
    assert result.left_out == {"no span in it is sure": 1}


def test_what_is_reviewed_or_held_out_is_not_labelled(folder, tmp_path):
    (tmp_path / "texts.txt").write_text(
        "\n".join(sentence(n, PORTS[n % 8]).text for n in range(24)) + "\nA new one in Aden."
    )
    result = bootstrap(
        [tmp_path / "texts.txt"],
        schema=SCHEMA,
        gazetteers=[folder / "ports.csv"],
        reviewed=[folder / "reviewed.jsonl"],
    )
    assert [passage.text for passage in result.passages] == ["A new one in Aden."]
    assert result.left_out == {"reviewed already": 24}


def test_first_labels_are_on_the_training_side_only_and_give_way_to_annotations(folder, tmp_path):
    made(folder)
    silver = read_valid_passages(folder / "silver.jsonl")
    annotated = [sentence(n, PORTS[n % 8]) for n in range(24)] + [Passage(silver[0].text, [], {"source": "x"})]
    write_passages(tmp_path / "annotations.jsonl", annotated)
    result = split(tmp_path / "annotations.jsonl", tmp_path, silver=folder / "silver.jsonl")
    assert not any(passage.is_silver for passage in (*result.dev, *result.eval))
    assert sum(passage.is_silver for passage in result.train) == 59
    assert [passage.text for passage in result.superseded] == [silver[0].text]
    alone = split(tmp_path / "annotations.jsonl", tmp_path / "alone")
    assert [passage.text for passage in result.eval] == [passage.text for passage in alone.eval]


def test_first_labels_that_people_have_reviewed_are_annotations(folder, tmp_path):
    made(folder)
    export_tasks("prodigy", [folder / "silver.jsonl"], tmp_path / "tasks.jsonl")
    import_annotations([tmp_path / "tasks.jsonl"], tmp_path / "annotations.jsonl")
    passages = read_valid_passages(tmp_path / "annotations.jsonl")
    assert len(passages) == 60
    assert not any(passage.is_silver for passage in passages)
    assert all(passage.is_training_only for passage in passages)


def test_a_comparison_can_leave_out_the_first_labels(folder, tmp_path, cnn_config):
    made(folder)
    gold = [sentence(n, PORTS[n % 8]) for n in range(6)]
    write_passages(tmp_path / "train.jsonl", [*gold, *read_valid_passages(folder / "silver.jsonl")])
    recipe = _without_silver(Recipe(cnn_config, tmp_path / "train.spacy"), tmp_path / "sets")
    assert [one.text for one in read_valid_passages(recipe.train)] == [one.text for one in gold]
    assert recipe.train.with_suffix(".spacy").is_file()
    with pytest.raises(UserError, match="no passages with first labels"):
        _without_silver(recipe, tmp_path / "again")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"size": 0}, "`size` is below 1"),
        ({"sure": 1.5}, "`sure` is 1.5"),
        ({"gazetteers": []}, "There is no source of labels"),
        ({"gazetteers": ["nowhere.csv"]}, "There is no gazetteer nowhere.csv"),
        ({"output": "texts.txt"}, "is among the passages"),
        ({"passages": ["empty.txt"]}, "There is no passage to label"),
    ],
)
def test_what_does_not_fit_is_refused(folder, monkeypatch, more, says):
    monkeypatch.chdir(folder)
    (folder / "empty.txt").write_text("\n")
    given = {"passages": ["texts.txt"], "gazetteers": ["ports.csv"], "schema": SCHEMA, **more}
    with pytest.raises(UserError) as raised:
        bootstrap(given.pop("passages"), **given)
    assert says in raised.value.what


def test_an_llm_that_can_not_be_asked_is_an_error_and_the_labels_of_before_stay(folder, tmp_path):
    pytest.importorskip("openai")
    (folder / "silver.jsonl").write_text("of before")
    with LLMServer(lambda _: fails(401, "wrong key")) as server:
        (tmp_path / "llm.yml").write_text(json.dumps(server.settings().model_dump(exclude_defaults=True, mode="json")))
        with pytest.raises(UserError, match="HTTP 401: wrong key"):
            made(folder, llm=tmp_path / "llm.yml")
    assert (folder / "silver.jsonl").read_text() == "of before"


def test_an_llm_is_one_more_source_and_what_it_does_not_answer_is_said(folder, tmp_path):
    pytest.importorskip("openai")

    def script(asked):
        if "number 7," in asked.user:
            return fails(400, "no")
        ports = [{"quote": name, "type": "PORT", "before": ""} for name in ("Valparaiso",) if name in asked.user]
        return says({"entities": ports})

    with LLMServer(script) as server:
        settings = server.settings(examples=1).model_dump(exclude_defaults=True, mode="json")
        (tmp_path / "llm.yml").write_text(json.dumps(settings))
        told = []
        result = made(folder, llm=tmp_path / "llm.yml", begin=told.append, size=12)
        assert {len(asked.body["messages"]) for asked in server.asked} == {4}
    assert "127.0.0.1" in told[0]
    (llm,) = [source for source, type_ in result.records if source.startswith("LLM") and type_ == "PORT"]
    assert result.records[llm, "PORT"].found > 0
