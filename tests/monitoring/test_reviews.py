"""What comes back of a sample: through every labelling tool, and what does not count, with the reason."""

import json
import random

import pytest
from helpers.live_text import live_row, read_rows, review, truth, write_rows

from spacy_domain_ner import UserError, estimate_quality, export_tasks, sample_for_review
from spacy_domain_ner.monitoring.reviews import read_reviews


@pytest.fixture
def sample(tmp_path):
    live = write_rows(tmp_path / "live.jsonl", [live_row(number) for number in range(300)])
    sample_for_review([live], tmp_path / "sample.jsonl", size=60)
    return tmp_path / "sample.jsonl"


@pytest.fixture
def reviewed(sample, tmp_path):
    return review(sample, tmp_path / "reviewed.jsonl")


def label_studio(tasks: list[dict], minimal: bool) -> list[dict]:
    done = []
    for number, task in enumerate(tasks, 1):
        text = task["data"]["text"]
        regions = [
            {
                "start": one["start"],
                "end": one["end"],
                "text": text[one["start"] : one["end"]],
                "labels": [one["label"]],
            }
            for one in truth(text)
        ]
        if minimal:
            row = {**task["data"], "id": number, "annotator": 1, "annotation_id": number, "lead_time": 3.1}
            done.append({**row, "label": regions} if regions else row)
            continue
        result = [
            {"id": str(n), "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual", "value": one}
            for n, one in enumerate(regions)
        ]
        made = {"id": number, "completed_by": 1, "was_cancelled": False, "ground_truth": False, "result": result}
        done.append({**task, "id": number, "annotations": [made], "meta": {}, "drafts": []})
    return done


def as_the_tool_exports(tool: str, tasks) -> str:
    if tool.startswith("label-studio"):
        return json.dumps(label_studio(json.loads(tasks.read_text()), tool.endswith("min")))
    rows = read_rows(tasks)
    for number, row in enumerate(rows):
        spans = truth(row["text"])
        if tool == "doccano":
            row |= {"id": number, "label": [[one["start"], one["end"], one["label"]] for one in spans], "Comments": []}
        else:
            row |= {"spans": spans, "answer": "accept", "_input_hash": number, "_task_hash": number, "tokens": [],
                    "_view_id": "ner_manual", "_timestamp": 1_760_000_000, "_annotator_id": "ann-1"}  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("tool", ["label-studio", "label-studio-min", "doccano", "prodigy"])
def test_the_marks_come_back_from_every_tool_and_blind_passages_have_nothing_filled_in(
    sample, reviewed, tmp_path, tool
):
    export_tasks(tool.removesuffix("-min"), [sample], tmp_path / "tasks")
    blind = [row["text"] for row in read_rows(sample) if row["meta"]["monitor"]["blind"]]
    text = (tmp_path / "tasks").read_text()
    tasks = json.loads(text) if tool.startswith("label-studio") else read_rows(tmp_path / "tasks")
    for task in tasks:
        filled = task.get("predictions") or task.get("label") or task.get("spans")
        assert bool(filled) == (task.get("data", task)["text"] not in blind)
    (tmp_path / "done.json").write_text(as_the_tool_exports(tool, tmp_path / "tasks"))
    found = {one.mark.fingerprint: (one.mark, one.spans) for one in read_reviews([tmp_path / "done.json"]).reviews}
    assert found == {one.mark.fingerprint: (one.mark, one.spans) for one in read_reviews([reviewed]).reviews}
    assert len(found) == 60


def test_an_estimate_is_the_same_with_the_live_rows_beside_it(reviewed, tmp_path):
    alone = estimate_quality([reviewed])
    beside = estimate_quality([reviewed], [tmp_path / "live.jsonl"])
    assert alone.to_dict() == beside.to_dict()
    assert alone.micro.precision.low < 0.8 < alone.micro.precision.high


def edited(reviewed, edit) -> list[str]:
    rows = read_rows(reviewed)
    edit(rows)
    return read_reviews([write_rows(reviewed, rows)]).notes


def strange(rows):
    rows.append({"text": "Redis was never sampled.", "spans": [], "answer": "accept"})


def changed(rows):
    rows[0]["text"] += " Or not."


def skipped(rows):
    rows[0]["answer"], rows[1]["answer"] = "ignore", "reject"
    del rows[1]["spans"][:]


def damaged(rows):
    rows[0]["meta"]["monitor"]["found"] = "eJx"


def out_of_range(rows):
    rows[0]["meta"]["monitor"]["probability"] = 0


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        (strange, "1 passage(s) were never sampled and do not count: 'Redis was never sampled.'"),
        (changed, "1 passage(s) have another text than when they were sampled"),
        (skipped, "2 passage(s) left out: skipped by the annotator"),
        (damaged, "1 passage(s) have a damaged `meta.monitor`"),
        (out_of_range, "1 passage(s) have a damaged `meta.monitor` (a probability or a weight is out of range)"),
    ],
)
def test_what_does_not_count_is_told_with_its_reason(reviewed, edit, note):
    assert any(note in one for one in edited(reviewed, edit))


def test_white_space_that_a_tool_has_changed_does_not_matter(reviewed):
    before = read_reviews([reviewed]).reviews

    def spread(rows):
        for row in rows:
            at = row["text"].index("Redis")
            row["text"] = row["text"][:at] + "\r\n  " + row["text"][at:]
            for span in row["spans"]:
                span["start"], span["end"] = span["start"] + 4, span["end"] + 4

    assert edited(reviewed, spread) == []
    assert [one.spans for one in read_reviews([reviewed]).reviews] == [one.spans for one in before]


def test_a_passage_that_two_people_reviewed_counts_once_and_what_they_differ_in_does_not(reviewed, tmp_path):
    rows = read_rows(reviewed)
    for row in rows:
        row["_annotator_id"] = "one"
    again = [{**row, "_annotator_id": "two"} for row in rows]
    at = next(number for number, row in enumerate(rows) if row["spans"])
    again[at] = {**again[at], "spans": []}
    write_rows(tmp_path / "one.jsonl", rows)
    write_rows(tmp_path / "two.jsonl", again)
    found = read_reviews([tmp_path / "one.jsonl", tmp_path / "two.jsonl"])
    assert len(found.reviews) == 60
    assert sum(bool(one.unknown) for one in found.reviews) == 1
    assert any("the reviewers differ" in note for note in found.notes)


def test_labels_that_are_not_entity_types_do_not_count_and_neither_does_their_place(reviewed, tmp_path):
    (tmp_path / "types.yml").write_text("entity_types: [{name: INFRA}]\n")

    def relabelled(rows):
        next(row for row in rows if row["spans"])["spans"][0]["label"] = "STORE"

    edited(reviewed, relabelled)
    found = read_reviews([reviewed], schema=tmp_path / "types.yml")
    assert any("not entity types: STORE (1)" in note for note in found.notes)
    assert sum(bool(one.unknown) for one in found.reviews) == 1


def test_the_sample_itself_is_not_taken_for_a_review(sample):
    with pytest.raises(UserError, match="is the sample itself: nobody has reviewed it"):
        estimate_quality([sample])


def test_passages_of_which_none_was_sampled_are_an_error(tmp_path):
    rows = [{"text": "Redis", "spans": [], "answer": "accept"}]
    with pytest.raises(UserError, match="Not one of the reviewed passages counts") as error:
        estimate_quality([write_rows(tmp_path / "a.jsonl", rows)])
    assert "were never sampled" in error.value.hint


def test_two_models_are_not_estimated_together(reviewed, tmp_path):
    other = {"name": "en_ops", "version": "0.3.0", "digest": "ffffffff"}
    live = write_rows(tmp_path / "new.jsonl", [live_row(number + 1000, model=other) for number in range(100)])
    with pytest.raises(UserError, match=r"The sample is of the model en_ops 0\.2\.0 .* are of en_ops 0\.3\.0"):
        estimate_quality([reviewed], [live])
    sample_for_review([live], tmp_path / "sample2.jsonl", size=20)
    with pytest.raises(UserError, match="The reviewed passages are of several models"):
        estimate_quality([reviewed, review(tmp_path / "sample2.jsonl", tmp_path / "reviewed2.jsonl")])


def test_two_samples_of_one_model_are_estimated_together(reviewed, tmp_path):
    live = write_rows(tmp_path / "week2.jsonl", [live_row(number + 1000) for number in range(200)])
    sample_for_review([live], tmp_path / "sample2.jsonl", size=40)
    quality = estimate_quality([reviewed, review(tmp_path / "sample2.jsonl", tmp_path / "reviewed2.jsonl")])
    assert (quality.rows, quality.sampled, quality.reviewed) == (500, 100, 100)


def test_live_rows_that_are_others_than_the_sampled_ones_are_told(reviewed, tmp_path):
    rows = read_rows(tmp_path / "live.jsonl")
    random.Random(0).shuffle(rows)
    notes = estimate_quality([reviewed], [write_rows(tmp_path / "part.jsonl", rows[:200])]).notes
    assert any("are not among the live rows that were given" in note for note in notes)
    assert any("200 live rows were given, and the sample was drawn from 300" in note for note in notes)


@pytest.mark.parametrize("drop", [0, 1, -0.1])
def test_a_drop_that_is_not_one_is_named(reviewed, drop):
    with pytest.raises(UserError, match="`drop` is"):
        estimate_quality([reviewed], drop=drop)
