"""Labelling interfaces: which control is meant, what its labels are called, and where the text of a task is."""

import re

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.label_config import span_control
from spacy_domain_ner.reading.records import RefusedError

MODEL = ["TEAM", "SERVICE"]
TEXT = '<Text name="text" value="$text"/>'


def interface(labels: str, text: str = TEXT, attributes: str = 'name="label" toName="text"') -> str:
    return f"<View><Labels {attributes}>{labels}</Labels>{text}</View>"


BOTH = '<Label value="TEAM"/><Label value="SERVICE"/>'


@pytest.mark.parametrize(
    ("labels", "found", "missing"),
    [
        (BOTH, {"TEAM": "TEAM", "SERVICE": "SERVICE"}, ()),
        ('<Label value="TEAM"/>', {"TEAM": "TEAM"}, ("SERVICE",)),
        # Regions have the alias.
        ('<Label value="Our teams" alias="TEAM"/>', {"TEAM": "TEAM"}, ("SERVICE",)),
        ('<Label value="TEAM" alias="t"/>', {"TEAM": "t"}, ("SERVICE",)),
        ('<Label value="team"/><Label value="Service"/>', {"TEAM": "team", "SERVICE": "Service"}, ()),
        # Labels in a view of their own.
        ('<View><Label value="TEAM"/></View><Label value="OTHER"/>', {"TEAM": "TEAM"}, ("SERVICE",)),
        ("<Label/>" + BOTH, {"TEAM": "TEAM", "SERVICE": "SERVICE"}, ()),
    ],
)
def test_the_labels_of_the_model_are_found_in_the_interface(labels, found, missing):
    control = span_control(interface(labels), MODEL)
    assert (control.name, control.to_name, control.labels, control.missing) == ("label", "text", found, missing)


def test_what_to_add_for_labels_that_are_missing_is_xml():
    control = span_control(interface('<Label value="TEAM"/>'), ["TEAM", 'A&B "<x>"', "SERVICE"])
    assert control.missing_in_words.endswith("""<Label value='A&amp;B "&lt;x&gt;"'/> <Label value="SERVICE"/>""")
    assert span_control(interface(BOTH), MODEL).missing_in_words == ""


def test_the_control_with_most_of_the_labels_is_meant_among_several():
    config = (
        '<View><Choices name="kind" toName="body"><Choice value="TEAM"/></Choices>'
        '<Labels name="few" toName="title"><Label value="TEAM"/></Labels>'
        f'<Labels name="all" toName="picture,body">{BOTH}</Labels>'
        '<Image name="picture" value="$url"/><Text name="title" value="$title"/>'
        '<Header value="Read"/><Text name="body" value="$doc.parts[1].text"/></View>'
    )
    control = span_control(config, MODEL)
    assert (control.name, control.to_name) == ("all", "body")
    assert control.text_of({"data": {"doc": {"parts": [{}, {"text": "here"}]}}}) == "here"


def test_labels_that_come_with_each_task_are_all_taken():
    config = f'<View><Labels name="label" toName="text" value="$labels"/>{TEXT}</View>'
    assert span_control(config, MODEL).labels == {"TEAM": "TEAM", "SERVICE": "SERVICE"}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "no labelling interface"),
        ("  ", "no labelling interface"),
        ("<View>", "can't be read as XML"),
        ("<View/>", "no control at all"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>', "DOCTYPE"),
        (interface('<Label value="OTHER"/>'), 'none of the model\'s labels.*<Label value="TEAM"/>'),
        (interface(BOTH, ""), "on 'text', which it does not have"),
        (interface(BOTH, '<HyperText name="text" value="$text"/>'), "on HyperText, for which nothing is predicted"),
        (
            f'<View><ParagraphLabels name="label" toName="text">{BOTH}</ParagraphLabels>'
            '<Paragraphs name="text" value="$text"/></View>',
            "on Paragraphs, for which nothing is predicted",
        ),
        (interface(BOTH, '<Text name="text" value="Note: $text"/>'), "not one value of the task's data"),
        (interface(BOTH, '<Text name="text" value="$text" encoding="base64"/>'), "encoded"),
        (
            '<View><RectangleLabels name="r" toName="i"><Label value="TEAM"/></RectangleLabels>'
            '<Image name="i" value="$i"/></View>',
            "RectangleLabels 'r' on Image",
        ),
    ],
)
def test_an_interface_that_does_not_fit_is_refused_with_the_reason(config, said):
    with pytest.raises(UserError) as raised:
        span_control(config, MODEL)
    assert re.search(said, raised.value.what)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"data": {"text": ""}}, "empty"),
        ({"data": {"text": " \n"}}, "empty"),
        ({"data": {"text": None}}, "no 'text'"),
        ({"data": {"text": 5}}, "must be a string"),
        ({"data": {"text": ["a"]}}, "must be a string"),
        ({"data": {"text": "half \ud83d"}}, "surrogate"),
        ({"data": {"body": "x", "meta": {}}}, "no text under 'text' \\(there are: body, meta\\)"),
        ({"data": {}}, "there are: none"),
        ({"data": "x"}, "an object with 'data'"),
        ({}, "an object with 'data'"),
        (None, "an object with 'data'"),
    ],
)
def test_a_task_without_a_text_is_refused_with_the_reason(task, said):
    with pytest.raises(RefusedError, match=said):
        span_control(interface(BOTH), MODEL).text_of(task)


def test_of_an_address_nothing_is_fetched_where_the_interface_says_that_it_is_one():
    task = {"data": {"text": "https://example.org/a.txt"}}
    assert span_control(interface(BOTH), MODEL).text_of(task) == task["data"]["text"]
    by_address = span_control(interface(BOTH, TEXT.replace("/>", ' valueType="url"/>')), MODEL)
    with pytest.raises(RefusedError, match="nothing is fetched"):
        by_address.text_of(task)
