"""Predictions for tasks, and proposals for what a person has just marked."""

from spacy_domain_ner.exchange.label_studio.label_config import SpanControl
from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving.label_studio.predictions import ReadTask, prediction, proposals, read_task

CONTROL = SpanControl("label", "text", ("text",), labels={"TEAM": "team", "SERVICE": "SERVICE"}, missing=("INFRA",))


def made(text, *entities, expected=None):
    return prediction(ReadTask(text), entities, expected, CONTROL, "m-1")


def places(text, *marked, task=None):
    context = {"result": [mark(text, *each) for each in marked]}
    found = proposals(task or {}, text, context, CONTROL)
    return found and [(each["value"]["start"], each["value"]["end"], each["value"]["labels"]) for each in found]


def mark(text, start, end, label="SERVICE", **further):
    value = {"start": start, "end": end, "text": text[start:end], "labels": [label]}
    return {"type": "labels", "from_name": "label", "to_name": "text", "value": value, **further}


def test_a_region_has_the_interface_s_label_the_offsets_of_code_points_and_the_confidence():
    text = "🚀 Atlas runs"
    made_of = made(text, Entity("Atlas", "TEAM", 2, 7, 0.87654321))
    [region] = made_of["result"]
    assert region.pop("id")
    assert region == {
        "from_name": "label", "to_name": "text", "type": "labels", "score": 0.8765,
        "value": {"start": 2, "end": 7, "text": "Atlas", "labels": ["team"]},
    }  # fmt: skip
    assert made_of["model_version"] == "m-1"


def test_entities_that_nobody_can_mark_are_left_out_of_result_and_score():
    text = "Atlas runs Redis"
    infra = Entity("Redis", "INFRA", 11, 16, 0.1)
    assert made(text, infra, expected={"INFRA": 5.0}) == made(text, expected={})
    assert made(text, expected={})["score"] == 1


def test_a_passage_in_which_something_was_missed_comes_before_one_in_which_all_is_sure():
    missed = made("nothing is found", expected={"TEAM": 0.9})["score"]
    sure = made("Atlas runs", Entity("Atlas", "TEAM", 0, 5, 0.99), expected={"TEAM": 1.0})["score"]
    unsure = made("Atlas runs", Entity("Atlas", "TEAM", 0, 5, 0.4), expected={"TEAM": 1.1})["score"]
    assert unsure < missed < sure < made("Nothing", expected={"TEAM": 0.0})["score"]


def test_without_confidence_there_is_no_score():
    made_of = made("Atlas runs", Entity("Atlas", "TEAM", 0, 5))
    assert made_of["score"] is None
    assert "score" not in made_of["result"][0]


def test_a_task_that_can_t_be_read_gets_an_empty_prediction_that_comes_last():
    for task, why in [({"data": {"text": ""}}, "empty"), ({}, "data"), ({"data": {"text": "x" * 11}}, "11 characters")]:
        read = read_task(task, CONTROL, 10)
        found = prediction(read, [], None, CONTROL, "m-1")
        assert why in found.pop("error")
        assert found == {"result": [], "score": 1.0, "model_version": "m-1"}


def test_what_is_marked_is_proposed_wherever_the_same_form_stands():
    text = "🚀 api calls api, not apis or API; api"
    assert places(text, (2, 5)) == [(12, 15, ["SERVICE"]), (34, 37, ["SERVICE"])]


def test_nothing_is_proposed_where_something_is_marked_already():
    text = "big api, api, api"
    draft = {"drafts": [{"result": [mark(text, 9, 12, "team")]}]}
    assert places(text, (4, 7), task=draft) == [(14, 17, ["SERVICE"])]
    assert places(text, (0, 7), (9, 12), (14, 17)) == []
    assert places("aa aa aa", (0, 5)) == []
    # Label Studio's page sends the regions that have the label which was just marked. The others are in the draft, and
    # before there is one, they are those that were predicted.
    predicted = {"predictions": [{"result": [mark(text, 9, 12, "team"), mark(text, 14, 17)]}, 5]}
    assert places(text, (4, 7), task=predicted) == [(14, 17, ["SERVICE"])]
    assert [place[0] for place in places(text, (4, 7), task={**predicted, **draft})] == [14]
    other = {"drafts": [{"result": [mark(text, 0, 3, "team")]}]}
    assert [place[0] for place in places(text, (4, 7), task={**predicted, **other})] == [9, 14]


def test_only_what_a_person_has_just_marked_is_proposed_elsewhere_and_not_what_a_model_has():
    text = "api, api and web, web and db, db"
    predicted, changed = ({**mark(text, 18, 21), "origin": origin} for origin in ("prediction", "prediction-changed"))
    just = {**mark(text, 0, 3), "origin": "manual"}
    before = {**mark(text, 26, 28), "origin": "manual"}
    for regions, task, starts in [
        ([predicted, just], {}, [5]),
        ([predicted], {}, []),
        ([changed, just], {}, [13, 5]),
        # What the draft has was marked before, and what was proposed then may have been removed.
        ([before, just], {"drafts": [{"result": [before]}]}, [5]),
        ([before, just], {"drafts": [{"result": [before, just]}]}, [30, 5]),
    ]:
        found = proposals(task, text, {"result": regions}, CONTROL)
        assert [region["value"]["start"] for region in found] == starts


def test_a_context_that_marks_nothing_asks_for_the_model_s_entities():
    text = "api api"
    strange = [None, {}, {"result": []}, {"result": None}, {"result": [None, {}, {"value": 5}]}, [], "x"]
    strange += [{"result": [mark(text, *each)]} for each in [(3, 3), (-1, 3), (0, 3, None)]]
    strange.append({"result": [mark(text, 0, 3, to_name="another text")]})
    assert [proposals({}, text, each, CONTROL) for each in strange] == [None] * len(strange)


def test_marks_outside_the_text_and_of_white_space_propose_nothing():
    assert places("api api", (100, 103)) == []
    assert places("a  b  c", (1, 3)) == []
