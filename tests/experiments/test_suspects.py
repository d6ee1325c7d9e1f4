"""Suspects from real, tiny cross-validations: the files, what is kept, and what is refused."""

import json
import random

import pytest
import spacy
from helpers.html_page import Page

from spacy_domain_ner.corpus import Passage, Span, read_passages, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.experiments.suspects import divide, find_suspects, make_folds, read_suspects
from spacy_domain_ner.training import Recipe


@pytest.fixture
def project(tmp_path, passages, cnn_config):
    """The passages four times over, in one of which a service is called INFRA."""
    many = [
        Passage(passage.text, passage.spans, {"source": f"{passage.meta['source']}-{copy}"})
        for copy in range(4)
        for passage in passages
    ]
    wrong = many[0]
    many[0] = Passage(
        wrong.text,
        [Span(span.start, span.end, "INFRA") if span.label == "SERVICE" else span for span in wrong.spans],
        wrong.meta,
    )
    write_passages(tmp_path / "train.jsonl", many[:70])
    write_passages(tmp_path / "dev.jsonl", many[70:])
    cnn_config.replace(tmp_path / "config.cfg")
    return tmp_path


def find(project, say=lambda line: None, **values):
    recipe = Recipe(project / "config.cfg", project / "train.jsonl", project / "dev.jsonl", max_epochs=6, gpu_id=-1)
    return find_suspects(recipe, output=project / "suspects.jsonl", say=say, **{"folds": 3, **values})


@pytest.mark.slow
def test_a_planted_error_is_found_first_and_a_second_time_nothing_is_trained(project):
    lines = []
    found = find(project, lines.append, min_confidence=0)
    assert found[0].annotated.label == "INFRA"
    assert found[0].predicted.label == "SERVICE"
    assert sum("measured before" in line for line in lines) == 0
    first = (project / "suspects.jsonl").read_bytes()
    lines.clear()
    again = find(project, lines.append, min_confidence=0)
    assert [line.count("measured before") for line in lines] == [1, 1, 1, 0]
    assert (project / "suspects.jsonl").read_bytes() == first
    assert [suspect.confidence for suspect in again] == [suspect.confidence for suspect in found]
    assert not (project / "suspects_runs/models").exists()

    # The file is one that labelling tools open, and an import takes back the annotation alone.
    [record, *_] = read_passages(project / "suspects.jsonl").passages
    assert "annotated INFRA" in record.meta["model_errors"][0]
    rows = [{**json.loads(line), "answer": "accept"} for line in first.decode().splitlines()]
    (project / "corrected.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_annotations([project / "corrected.jsonl"], project / "back.jsonl")
    [back, *_] = read_passages(project / "back.jsonl").passages
    assert (set(back.meta), back.extra) == ({"source"}, {})

    # What has been fixed since is not suspect any more.
    read = read_suspects(project / "suspects.jsonl", [found[0].passage])
    assert [round(suspect.confidence, 3) for suspect in read] == [round(one.confidence, 3) for one in found]
    fixed = Passage(found[0].passage.text, [found[0].predicted], found[0].passage.meta)
    left = read_suspects(project / "suspects.jsonl", [fixed])
    assert all(suspect.passage.identity != fixed.identity for suspect in left)
    assert len(left) < len(found)


def test_no_more_are_written_than_asked_for_and_each_passage_once(project, monkeypatch):
    # Without training: models that find nothing.
    monkeypatch.setattr("spacy_domain_ner.experiments.suspects.train_on", lambda *_, **__: (spacy.blank("en"), 1.0))
    found = find(project, limit=7, min_confidence=0)
    assert len(found) == 7
    records = read_passages(project / "suspects.jsonl").passages
    assert len({(record.text, record.meta["source"]) for record in records}) == len(records) < 8
    assert sum(len(record.extra["suspects"]) for record in records) == 7


def test_only_those_worth_a_look_are_written(project, monkeypatch):
    monkeypatch.setattr("spacy_domain_ner.experiments.suspects.train_on", lambda *_, **__: (spacy.blank("en"), 1.0))
    every = find(project, min_confidence=0)
    line = sorted(suspect.confidence for suspect in every)[len(every) // 2]
    said = []
    found = find(project, min_confidence=line, say=said.append)
    assert [one.confidence for one in found] == [one.confidence for one in every if one.confidence >= line]
    assert said[-1].startswith(f"{len(every)} annotations are contradicted, {len(found)} of them")


@pytest.mark.slow
def test_the_command_finds_them_and_the_report_shows_them(project, domain_ner):
    sets = ["--train", project / "train.jsonl", "--dev", project / "dev.jsonl"]
    output = project / "suspects.jsonl"
    options = ["--output", output, "--folds", 3, "--max-epochs", 3, "--limit", 5, "--min-confidence", 0]
    done = domain_ner("suspects", project / "config.cfg", *sets, *options)
    assert done.code == 0, done
    assert "annotations to look at are in" in " ".join(done.out.split())
    assert 0 < sum(len(record.extra["suspects"]) for record in read_passages(output).passages) <= 5
    (project / "types.yml").write_text("entity_types: [{name: SERVICE}, {name: INFRA}]\n")
    report = ["--schema", project / "types.yml", *sets[:2], "--report", project / "report.html", "--suspects", output]
    spacy.blank("en").to_disk(project / "model")
    done = domain_ner("evaluate", project / "model", project / "dev.jsonl", *report)
    assert done.code == 0, done
    page = (project / "report.html").read_text(encoding="utf8")
    assert "Suspect annotations" in Page(page).text


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--limit", 0], "--limit is 0"),
        (["--min-confidence", 2], "--min-confidence is 2"),
        (["--folds", 2], "--folds is 2"),
        (["--train", "none.jsonl"], "There is no file none.jsonl"),
        (["--seed", -1], "The seed -1"),
    ],
)
def test_the_command_refuses_what_it_can_not_do_and_leaves_the_file(project, domain_ner, monkeypatch, arguments, what):
    monkeypatch.chdir(project)
    (project / "suspects.jsonl").write_text("old")
    sets = ["--train", "train.jsonl", "--dev", "dev.jsonl", "--output", "suspects.jsonl"]
    done = domain_ner("suspects", "config.cfg", *sets, *arguments)
    assert done.code == 1
    assert what in done.err
    assert (project / "suspects.jsonl").read_text() == "old"


def test_folds_are_of_like_size_and_divide_no_group():
    draw = random.Random(0)
    passages = [Passage(f"Redis {n}", [Span(0, 5, "A")], {"source": str(draw.randrange(40))}) for n in range(200)]
    folds = divide(passages, 4)
    assert sorted(p.text for fold in folds for p in fold) == sorted(p.text for p in passages)
    assert max(map(len, folds)) - min(map(len, folds)) < 10
    sources = [{p.meta["source"] for p in fold} for fold in folds]
    assert sum(map(len, sources)) == len(set().union(*sources))
    assert divide(passages, 4) == folds
    assert divide(passages, 4, seed=1) != folds


def test_each_part_is_held_out_once_and_no_model_has_seen_what_it_reads():
    parts = [[Passage(f"{part} {number}") for number in range(3)] for part in range(4)]
    folds = make_folds(parts)
    assert [fold.held_out for fold in folds] == parts
    for fold in folds:
        texts = [passage.text for side in (fold.held_out, fold.dev, fold.train) for passage in side]
        assert len(set(texts)) == len(texts) == 12
        assert fold.dev in parts


@pytest.mark.parametrize(
    ("passages", "count", "what"),
    [
        ([Passage("Redis", [Span(0, 5, "A")])] * 9, 2, "`folds` is 2"),
        ([Passage("Redis", [Span(0, 5, "A")], {"source": "one"})] * 9, 3, "of 1 sources"),
        ([Passage("Redis", [Span(0, 5, "A")]), Passage("b"), Passage("c")], 3, "with mentions"),
    ],
)
def test_what_can_not_be_divided_is_refused(passages, count, what):
    with pytest.raises(UserError, match=what):
        divide(passages, count)


def test_a_file_of_something_else_is_refused(tmp_path):
    write_passages(tmp_path / "other.jsonl", [Passage("Redis")])
    with pytest.raises(UserError, match=r"other\.jsonl:1 is not a line of a file of suspects"):
        read_suspects(tmp_path / "other.jsonl")
