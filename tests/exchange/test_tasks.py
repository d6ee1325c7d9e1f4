"""Passages for labelling tools, and back."""

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest
import spacy
from helpers.memorized import memorized
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.training import Example

from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.corpus import Passage, Span, read_passages, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.matching import pair_spans
from spacy_domain_ner.evaluation.mistakes import find_errors, to_records
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.interfaces import Tool
from spacy_domain_ner.exchange.policies import KeepOrDrop, Policies
from spacy_domain_ner.exchange.tasks import export_tasks, read_to_label, tasks_to_label, write_tasks
from spacy_domain_ner.reading.finding import TEXT_SUFFIXES

HARD_TEXTS = {
    "emoji": "🚀 checkout-api 👩‍🔬 needs Redis 🇫🇷 now",
    "astral characters": "𝒜𝒷 checkout-api 𝕏 Redis 𠜎",
    "combining marks": "Cafe\u0301 checkout-api Zu\u0308rich Redis",
    "line ends": "first\r\ncheckout-api\r\nRedis\rlast\n",
    "tabs": "\tcheckout-api\t\tRedis  ",
    "nested quotes": 'he said "use \'checkout-api\', not \\"Redis\\"" \\n',
    "HTML": "<b>checkout-api</b> &amp; <script>alert('Redis')</script>",
    "ten thousand characters": "padding \U0001f600 " * 1000 + "checkout-api then Redis",
    "line separators": "checkout-api\u2028Redis\u2029\x85end",
}


def with_spans(text: str) -> Passage:
    spans = [
        Span(text.index(form), text.index(form) + len(form), label)
        for form, label in (("checkout-api", "SERVICE"), ("Redis", "INFRA"))
    ]
    return Passage(text, spans, {"source": "page-1", "genre": "chat"})


def there_and_back(folder: Path, passages: list[Passage], tool: Tool) -> list[Passage]:
    write_tasks(folder / "tasks.json", tasks_to_label(passages, tool), tool)
    # What nobody has corrected is a prediction, or a task without an answer.
    text = (folder / "tasks.json").read_text(encoding="utf8")
    if tool is Tool.prodigy:
        rows = [{**json.loads(row), "answer": "accept"} for row in text.split("\n") if row]
        (folder / "tasks.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    (folder / "back.jsonl").unlink(missing_ok=True)
    import_annotations([folder / "tasks.json"], folder / "back.jsonl", Policies(predictions=KeepOrDrop.keep))
    return read_passages(folder / "back.jsonl").passages


@pytest.mark.parametrize("tool", Tool)
@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_text_spans_and_meta_come_back_as_they_went(tmp_path: Path, tool: Tool, text: str) -> None:
    [back] = there_and_back(tmp_path, [with_spans(text)], tool)
    assert (back.text, back.spans) == (text, with_spans(text).spans)
    assert back.meta == {"source": "page-1", "genre": "chat"}


@pytest.mark.parametrize("tool", Tool)
def test_what_a_model_got_wrong_goes_to_the_tool_and_stays_there(tmp_path: Path, tool: Tool) -> None:
    passage = with_spans("checkout-api needs Redis")
    [record] = to_records([passage], find_errors([passage], [pair_spans(passage.spans, [])], [[]]))
    (tmp_path / "errors.jsonl").write_text(json.dumps(record), encoding="utf8")
    [shown] = read_to_label(tmp_path / "errors.jsonl").passages
    assert len(shown.meta["model_errors"]) == 2
    assert "missed SERVICE" in json.dumps(next(iter(tasks_to_label([shown], tool))))
    assert there_and_back(tmp_path, [shown], tool) == [
        dataclasses.replace(passage, file=str(tmp_path / "back.jsonl"), line=1)
    ]


@pytest.mark.parametrize("tool", Tool)
@settings(max_examples=40)
@given(data=st.data())
def test_any_text_with_a_word_in_it_comes_back(tmp_path_factory: pytest.TempPathFactory, tool: Tool, data) -> None:
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    before, after = data.draw(anything), data.draw(anything)
    passage = Passage(f"{before} Redis {after}", [Span(len(before) + 1, len(before) + 6, "INFRA")])
    [back] = there_and_back(tmp_path_factory.mktemp("export"), [passage], tool)
    assert (back.text, back.spans) == (passage.text, passage.spans)


def test_a_models_spans_go_along_with_scores_and_the_models_version() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("ner").add_label("SERVICE")
    example = Example.from_dict(nlp.make_doc("checkout-api is up"), {"entities": [(0, 12, "SERVICE")]})
    optimizer = nlp.initialize(lambda: [example])
    for _ in range(30):
        nlp.update([example], sgd=optimizer)
    text = nlp.make_doc("checkout-api is up").text
    [task] = tasks_to_label([Passage(text)], Tool.label_studio, nlp)
    [prediction] = task["predictions"]
    assert prediction["model_version"].startswith("en_pipeline-0.0.0-")
    assert [result["value"]["labels"] for result in prediction["result"]] == [["SERVICE"]] * len(prediction["result"])
    assert prediction["result"], "it has learned its one sentence"
    scores = [result["score"] for result in prediction["result"]]
    assert all(0 <= score <= 1 for score in scores)
    assert prediction["score"] == min(scores)
    [row] = tasks_to_label([Passage(text)], Tool.prodigy, nlp)
    assert [span["score"] for span in row["spans"]] == pytest.approx(scores, abs=1e-3)


def test_a_rules_span_goes_along_without_a_score() -> None:
    nlp = memorized(FACTORY, [Passage("billing calls Redis", [Span(0, 7, "SERVICE"), Span(14, 19, "INFRA")])])
    nlp.add_pipe("entity_ruler", before="ner").add_patterns([{"label": "LIBRARY", "pattern": "Redis"}])
    [task] = tasks_to_label([Passage("billing calls Redis")], Tool.label_studio, nlp)
    [prediction] = task["predictions"]
    scores = {result["value"]["text"]: result.get("score") for result in prediction["result"]}
    assert scores == {"billing": prediction["score"], "Redis": None}
    [row] = tasks_to_label([Passage("billing calls Redis")], Tool.prodigy, nlp)
    assert ["score" in span for span in row["spans"]] == [True, False]


def test_passages_without_spans_and_model_get_no_prediction() -> None:
    assert list(tasks_to_label([Passage("nothing")], Tool.label_studio)) == [{"data": {"text": "nothing"}}]


def test_no_passage_makes_an_empty_list_for_label_studio(tmp_path: Path) -> None:
    assert write_tasks(tmp_path / "tasks.json", iter(()), Tool.label_studio) == 0
    assert json.loads((tmp_path / "tasks.json").read_text()) == []


@pytest.mark.parametrize("suffix", TEXT_SUFFIXES)
def test_each_line_of_a_text_file_is_a_passage_with_its_place_as_source(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes{suffix}"
    path.write_bytes(b"first\r\n\r\n  zweite Zeile\n")
    assert [(passage.text, passage.meta["source"]) for passage in read_to_label(path).passages] == [
        ("first", f"notes{suffix}:1"),
        ("  zweite Zeile", f"notes{suffix}:3"),
    ]


def test_export_leaves_out_what_is_annotated_already_and_what_is_there_twice(tmp_path: Path, run) -> None:
    write_passages(tmp_path / "new.jsonl", [Passage("one"), Passage("two"), Passage("two")])
    write_passages(tmp_path / "done.jsonl", [Passage("one")])
    done = run("domain-ner", "export", "doccano", "new.jsonl", "-o", "tasks.jsonl", "--exclude", "done.jsonl")
    assert done.returncode == 0, done.stderr
    assert [json.loads(row)["text"] for row in (tmp_path / "tasks.jsonl").read_text().splitlines()] == ["two"]
    assert "1 left out as annotated already" in done.stdout


def test_the_lines_of_a_text_file_are_left_out_like_the_passages_of_an_annotation_file(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("one\ntwo\n")
    (tmp_path / "done.jsonl").write_text('{"text": "one", "meta": {"source": "new.txt:1"}}\n{"text": 2}\n')
    exported = export_tasks("doccano", [tmp_path / "new.txt"], tmp_path / "x", exclude=[tmp_path / "done.jsonl"])
    assert (exported.tasks, exported.left_out, len(exported.refusals)) == (1, 1, 1)
    with pytest.raises(UserError, match="There is no passage to label"):
        export_tasks("doccano", [tmp_path / "new.txt"], tmp_path / "x", exclude=[tmp_path / "new.txt"])


def test_an_unknown_tool_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`tool` is 'paper'\nIt is one of: label-studio, doccano, prodigy"):
        export_tasks("paper", [], tmp_path / "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("doccano", "absent.jsonl", "-o", "x"), "There is no file or folder absent.jsonl"),
        (("doccano", "new.jsonl", "-o", "x", "--exclude", "new.jsonl"), "There is no passage to label"),
        (("doccano", "new.jsonl", "-o", "x", "--model", "absent"), "can't be loaded"),
    ],
)
def test_what_can_not_be_exported_is_said_with_exit_code_1(tmp_path: Path, run, arguments, message) -> None:
    write_passages(tmp_path / "new.jsonl", [Passage("one")])
    done = run("domain-ner", "export", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_texts_of_every_kind_can_be_exported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('id;body\n7;"café; Redis"\n8;\n'.encode("cp1252"))
    (tmp_path / "b.html").write_text("<p>Redis &amp; Kafka")
    (tmp_path / "c.json").write_text('[{"body": "Redis", "spans": [{"start": 0, "end": 5, "label": "INFRA"}]}]')
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("notes.txt", "Kafka is up")
        archive.writestr("paper.txt", "%PDF-1.4")
    output = tmp_path / "tasks.jsonl"
    inputs = [tmp_path / name for name in ("a.csv", "b.html", "c.json", "d.zip")]
    exported = export_tasks("doccano", inputs, output, encoding="cp1252", text_key="body")
    assert [json.loads(row) for row in output.read_text(encoding="utf8").splitlines()] == [
        {"text": "café; Redis", "label": [], "meta": {"source": "a.csv:2", "id": "7"}},
        {"text": "Redis & Kafka", "label": [], "meta": {"source": "b.html:1"}},
        {"text": "Redis", "label": [[0, 5, "INFRA"]]},
        {"text": "Kafka is up", "label": [], "meta": {"source": "notes.txt:1"}},
    ]
    assert [str(refusal).removeprefix(f"{tmp_path}/") for refusal in exported.refusals] == [
        "a.csv:3: an empty text", "d.zip/paper.txt: is a PDF document",
    ]  # fmt: skip


def test_nothing_is_filled_in_where_people_are_to_label_blind(tmp_path, make_passages):
    nlp = memorized(FACTORY, make_passages())
    [seen, *_] = make_passages()
    rows = [{"text": seen.text, "meta": {"source": "a"}}, {"text": seen.text, "meta": {"source": "b"}, "blind": True}]
    (tmp_path / "next.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "names.txt").write_text("a name of nothing\n" + seen.text.split()[0] + "\n")
    export_tasks(
        "label-studio", [tmp_path / "next.jsonl"], tmp_path / "tasks.json", model=nlp,
        patterns=[f"INFRA={tmp_path / 'names.txt'}"],
    )  # fmt: skip
    first, blind = json.loads((tmp_path / "tasks.json").read_text())
    assert first["predictions"][0]["result"]
    assert "predictions" not in blind
