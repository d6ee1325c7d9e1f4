"""Passages out to a real Label Studio, annotated there by two people, and back: the same spans."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy

from spacy_domain_ner.corpus import Passage, Span, read_valid_passages, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.transfer import pull_annotations, push_tasks
from spacy_domain_ner.exchange.policies import Annotators, Policies

pytestmark = pytest.mark.slow

TYPES = """
entity_types:
  - {name: SERVICE, definition: A running program with a name of its own}
  - {name: INFRA, definition: Software that services run on}
"""
# Where offsets go wrong. [[...|LABEL]] marks a mention.
TEXTS = {
    "plain": "[[checkout-api|SERVICE]] waits for [[Redis|INFRA]].",
    "emoji": "🔥🔥 [[checkout-api|SERVICE]] is down 😱, [[Redis|INFRA]] too 👩‍👩‍👧‍👦 🇩🇪",
    "astral": "𝕊𝕖𝕣𝕧𝕖𝕣 [[𝓇𝑒𝒹𝒾𝓈-𝟣|INFRA]] 𐍈 [[Kafka|INFRA]] 𠀋",
    "combining marks": "Le cafe\u0301 de [[zu\u0308rich-api|SERVICE]] et A\u030a\u0327 [[Redis|INFRA]]\u0301",
    "carriage returns": "first line\r\n[[checkout-api|SERVICE]]: timeout\r\n\r\n[[Redis|INFRA]]\r\nend\r",
    "tabs": "\tid\tname\n\t1\t[[checkout-api|SERVICE]]\t\t[[Redis|INFRA]]\t",
    "quotes": "\"she said: 'the “[[checkout-api|SERVICE]]” and \\\"[[Redis|INFRA]]\\\"'\" `it` «is» \\n slow\\",
    "HTML": "<p class=\"a\">The <b>[[checkout-api|SERVICE]]</b> &amp; &lt;[[Redis|INFRA]]&gt;<script>x</script></p>",
    "blanks": "  \u00a0 [[checkout-api|SERVICE]]    uses \u2003 [[Redis|INFRA]] \u200b\u2028 ok  ",
    "right to left": "השירות [[checkout-api|SERVICE]] מחכה ל [[Redis|INFRA]] \u202e نهاية",
    "long": "Line of a log, é𝕊. " * 500 + "[[checkout-api|SERVICE]] " + "x y " * 500 + "[[Redis|INFRA]]",
    "address": "See https://[[checkout-api|SERVICE]].example.com/v1?a=b&c=[[Redis|INFRA]]#x",
    "looks like JSON": '{"text": "[[checkout-api|SERVICE]]", "a": [1, null, "[[Redis|INFRA]]"]}',
    "nothing in it": "Nobody knows why.",
}  # fmt: skip


def marked(text: str, source: str) -> Passage:
    """A passage from a text in which the mentions are marked."""
    plain, spans = "", []
    for number, piece in enumerate(text.replace("]]", "[[").split("[[")):
        if number % 2:
            form, _, label = piece.rpartition("|")
            spans.append(Span(len(plain), len(plain) + len(form), label))
            piece = form
        plain += piece
    return Passage(plain, spans, {"source": source})


PASSAGES = [marked(text, name) for name, text in TEXTS.items()]


@pytest.fixture
def schema(tmp_path) -> Path:
    path = tmp_path / "entity_types.yml"
    path.write_text(TYPES)
    return path


@pytest.fixture
def unlabelled(tmp_path) -> Path:
    path = tmp_path / "passages.jsonl"
    write_passages(path, [Passage(passage.text, [], passage.meta) for passage in PASSAGES])
    return path


@pytest.fixture
def title() -> str:
    return f"round trip {os.urandom(4).hex()}"


@pytest.fixture
def annotate(label_studio) -> Callable[..., None]:
    """What a person does in the browser, over HTTP: each passage's spans as an annotation of its task."""

    def annotate(title: str, passages: list[Passage], user: Any = None) -> None:
        by_source = {task["data"]["meta"]["source"]: task for task in tasks(label_studio, title)}
        for passage in passages:
            results = [
                {
                    "id": f"s{number}", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual",
                    "value": {
                        "start": span.start, "end": span.end, "text": passage.surface(span), "labels": [span.label]
                    },
                }
                for number, span in enumerate(passage.spans)
            ]  # fmt: skip
            path = f"/api/tasks/{by_source[passage.meta['source']]['id']}/annotations/"
            label_studio.request("POST", path, {"result": results, "lead_time": 3.5}, user)

    return annotate


def tasks(label_studio, title: str) -> list[dict[str, Any]]:
    (project,) = label_studio.request("GET", f"/api/projects/?title={title}")["results"]
    return label_studio.request("GET", f"/api/tasks/?project={project['id']}&fields=all&page_size=1000")["tasks"]


def spans_of(path: Path) -> dict[str, list[tuple[str, Span]]]:
    """Each passage's spans with their surface forms, by its text."""
    return {
        passage.text: sorted((passage.surface(span), span) for span in passage.spans)
        for passage in read_valid_passages(path)
    }


def expected(passages: list[Passage]) -> dict[str, list[tuple[str, Span]]]:
    return {passage.text: sorted((passage.surface(span), span) for span in passage.spans) for passage in passages}


def test_passages_come_back_from_two_annotators_as_they_were_marked(
    label_studio, annotate, unlabelled, schema, title, tmp_path
):
    pushed = push_tasks(unlabelled, label_studio.url, label_studio.owner.personal, title, schema)
    assert (pushed.created, pushed.skipped, pushed.warnings) == (len(PASSAGES), 0, [])
    assert [task["data"]["text"] for task in tasks(label_studio, title)] == [passage.text for passage in PASSAGES]
    annotate(title, PASSAGES)
    annotate(title, PASSAGES[::2], label_studio.second)
    output = tmp_path / "annotations.jsonl"
    pull_annotations(output, label_studio.url, label_studio.second.legacy, title, schema=schema)
    assert spans_of(output) == expected(PASSAGES)
    assert [passage.meta["source"] for passage in read_valid_passages(output)] == list(TEXTS)


def test_what_two_annotators_differ_in_is_decided_by_the_policy(
    label_studio, annotate, unlabelled, schema, title, tmp_path
):
    server = (label_studio.url, label_studio.owner.legacy, title)
    push_tasks(unlabelled, *server, schema)
    both, other = PASSAGES[0], Passage(PASSAGES[1].text, PASSAGES[1].spans[:1], PASSAGES[1].meta)
    annotate(title, [both, PASSAGES[1]])
    annotate(title, [both, other], label_studio.second)
    agreed, majority = tmp_path / "agreed.jsonl", tmp_path / "majority.jsonl"
    pull_annotations(agreed, *server, Policies(Annotators.agreed), schema=schema)
    assert spans_of(agreed) == expected([both])
    pull_annotations(majority, *server, Policies(Annotators.majority), schema=schema)
    assert spans_of(majority) == expected([both, other])
    second = tmp_path / "second.jsonl"
    pull_annotations(second, *server, Policies(only_annotators=(str(label_studio.second.id),)), schema=schema)
    assert spans_of(second) == expected([both, other])


def test_a_models_predictions_go_along_with_score_and_version(label_studio, unlabelled, schema, title, tmp_path):
    nlp = spacy.blank("en", config={"nlp": {"batch_size": 4}})
    recognizer = nlp.add_pipe("ner")
    for label in ("SERVICE", "INFRA", "TEAM"):
        recognizer.add_label(label)
    nlp.initialize()
    nlp.meta.update(name="software_ner", version="1.2.3")
    nlp.to_disk(tmp_path / "model")
    pushed = push_tasks(
        unlabelled, label_studio.url, label_studio.owner.legacy, title, schema, model=str(tmp_path / "model")
    )
    assert pushed.created == len(PASSAGES)
    unknown = 0
    for task, passage in zip(tasks(label_studio, title), PASSAGES, strict=True):
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "en_software_ner-1.2.3"
        assert 0 <= prediction["score"] <= 1
        spans = [result["value"] for result in prediction["result"]]
        ents = nlp(passage.text).ents
        assert [(s["start"], s["end"], s["labels"]) for s in spans] == [
            (ent.start_char, ent.end_char, [ent.label_]) for ent in ents
        ]
        unknown += sum(ent.label_ == "TEAM" for ent in ents)
    # The model is untrained: what it finds is chance, and a label that the schema lacks is spoken of if it occurs.
    assert [warning.partition(" span")[0] for warning in pushed.warnings] == ([str(unknown)] if unknown else [])


def test_the_passages_own_spans_go_along_where_there_is_no_model(label_studio, schema, title, tmp_path):
    write_passages(tmp_path / "annotated.jsonl", PASSAGES)
    push_tasks(tmp_path / "annotated.jsonl", label_studio.url, label_studio.owner.legacy, title, schema)
    for task, passage in zip(tasks(label_studio, title), PASSAGES, strict=True):
        spans = [result["value"] for each in task["predictions"] for result in each["result"]]
        assert [Span(span["start"], span["end"], *span["labels"]) for span in spans] == passage.spans


def test_the_commands_as_users_run_them(label_studio, annotate, run, unlabelled, schema, title, tmp_path):
    token = label_studio.owner.personal
    known = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_TOKEN": token}
    first = run("domain-ner", "label-studio", "push", unlabelled, "--project", title, **known)
    assert (first.returncode, first.stderr) == (0, "")
    assert f"{len(PASSAGES)} task(s) created: {label_studio.url}/projects/" in first.stdout
    too_early = run("domain-ner", "label-studio", "pull", "annotations.jsonl", "--project", title, **known)
    assert too_early.returncode == 1
    assert "has no annotated task yet" in too_early.stderr
    assert not (tmp_path / "annotations.jsonl").exists()

    annotate(title, PASSAGES[:3])
    # Once more, as after an interruption: nothing is there twice, unless that is asked for.
    options = ("--url", label_studio.url, "--token", token, "--project", title)
    second = run("domain-ner", "label-studio", "push", unlabelled, *options)
    assert f"0 task(s) created, {len(PASSAGES)} left out" in second.stdout
    third = run("domain-ner", "label-studio", "push", unlabelled, *options, "--again")
    assert f"{len(PASSAGES)} task(s) created" in third.stdout
    assert len(tasks(label_studio, title)) == 2 * len(PASSAGES)

    pulled = run("domain-ner", "label-studio", "pull", "annotations.jsonl", *options)
    assert pulled.returncode == 0, pulled
    assert spans_of(tmp_path / "annotations.jsonl") == expected(PASSAGES[:3])
    assert len(json.loads((tmp_path / "annotations.label-studio.json").read_bytes())) == 3
    again = run("domain-ner", "label-studio", "pull", "annotations.jsonl", *options, "--all", "--annotators", "agreed")
    assert again.returncode == 0, again
    assert "3 unchanged" in again.stdout
    assert spans_of(tmp_path / "annotations.jsonl") == expected(PASSAGES[:3])

    for outcome in (first, too_early, second, third, pulled, again):
        assert "Traceback" not in outcome.stderr
        assert token not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("verb", [(), ("push",), ("pull",)])
def test_the_help_does_not_show_the_token(run, verb):
    shown = run("domain-ner", "label-studio", *verb, "--help", LABEL_STUDIO_TOKEN="geheim", TERMINAL_WIDTH="200")
    assert shown.returncode == 0
    assert "geheim" not in shown.stdout
    assert "LABEL_STUDIO_TOKEN" in shown.stdout or not verb


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--token", "f" * 40), "does not accept the token"),
        (("--url", "http://127.0.0.1:1"), "Can't reach http://127.0.0.1:1"),
        (("--project", "12345678"), "sees no project '12345678'"),
        (("--project", "ab"), "3 to 50"),
        (("--schema", "none.yml"), "none.yml"),
        (("--model", "no_such_model"), "no_such_model"),
    ],
)
def test_a_push_that_can_not_be_is_one_clear_error(label_studio, run, unlabelled, schema, title, options, said):
    given = {"--url": label_studio.url, "--token": label_studio.owner.legacy, "--project": title}
    given.update(zip(options[::2], options[1::2], strict=True))
    arguments = [word for pair in given.items() for word in pair]
    outcome = run("domain-ner", "label-studio", "push", unlabelled, *arguments)
    assert outcome.returncode == 1
    assert said in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert given["--token"] not in outcome.stdout + outcome.stderr
    assert label_studio.request("GET", f"/api/projects/?title={title}")["results"] == []


def test_a_file_without_passages_makes_no_project(label_studio, schema, title, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match="no passage to label"):
        push_tasks(tmp_path / "empty.jsonl", label_studio.url, label_studio.owner.legacy, title, schema)
    assert label_studio.request("GET", f"/api/projects/?title={title}")["results"] == []


def test_an_existing_project_is_checked_and_used(label_studio, unlabelled, schema, title):
    interface = (
        '<View><Labels name="ner" toName="shown"><Label value="SERVICE"/><Label value="TEAM"/>{}</Labels>'
        '<Text name="shown" value="$text"/></View>'
    )
    body = {"title": title, "label_config": interface.format("")}
    project = label_studio.request("POST", "/api/projects/", body)
    server = (label_studio.url, label_studio.owner.legacy)
    with pytest.raises(UserError, match=r"lacks the label\(s\) INFRA"):
        push_tasks(unlabelled, *server, title, schema)
    more = {"label_config": interface.format('<Label value="INFRA"/>')}
    label_studio.request("PATCH", f"/api/projects/{project['id']}/", more)
    pushed = push_tasks(unlabelled, *server, str(project["id"]), schema)
    assert pushed.created == len(PASSAGES)
    assert pushed.address == f"{label_studio.url}/projects/{project['id']}/data"
    assert [warning for warning in pushed.warnings if "TEAM" in warning]


def test_passages_that_can_not_be_read_are_named_and_the_others_go(label_studio, schema, title, write_lines):
    path = write_lines({"text": "Redis is slow"}, {"no": "text"}, {"text": "Redis is  slow"})
    pushed = push_tasks(path, label_studio.url, label_studio.owner.legacy, title, schema)
    # Two texts that differ in white space only are one passage, as they are to an import.
    assert (pushed.created, pushed.skipped) == (1, 1)
    (warning,) = pushed.warnings
    assert ":2: no 'text'" in warning
