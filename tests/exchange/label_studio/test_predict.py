"""Predictions for the tasks of a project on a real Label Studio, in pages and again."""

import os
from pathlib import Path

import pytest
from helpers.memorized import memorized

from spacy_domain_ner import predict_tasks
from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.confidence import calibrate
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError

pytestmark = pytest.mark.slow

TEXT = "checkout calls Redis"
INTERFACE = '<View><Labels name="l" toName="t"><Label value="SERVICE"/></Labels><Text name="t" value="$body"/></View>'


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    passages = [Passage(TEXT, [Span(0, 8, "SERVICE"), Span(15, 20, "INFRA")]), Passage("nothing is here")]
    nlp = memorized(FACTORY, passages)
    calibrate(nlp, passages * 20)
    path = tmp_path_factory.mktemp("model") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture
def make_project(label_studio):
    """Make a project with tasks; gives its number."""

    def make_project(texts, interface=INTERFACE):
        title = f"predict {os.urandom(4).hex()}"
        number = label_studio.request("POST", "/api/projects/", {"title": title, "label_config": interface})["id"]
        if texts:
            tasks = [{"data": {"body": text}} for text in texts]
            label_studio.request("POST", f"/api/projects/{number}/import", tasks)
        return str(number)

    return make_project


def in_project(label_studio, number):
    tasks = label_studio.request("GET", f"/api/tasks/?project={number}&fields=all&page_size=2000")["tasks"]
    return sorted(tasks, key=lambda task: task["id"])


def test_each_task_gets_one_prediction_on_the_right_characters_and_none_twice(
    label_studio, make_project, model, start_proxy, json_answer
):
    texts = [f"{'🚀 ' * (number % 3)}{TEXT}" for number in range(600)]
    texts[5:8] = [" ", "x" * 501, "nothing is here"]
    project = make_project(texts)
    # The second batch fails.
    proxy = start_proxy(label_studio.url)
    posts = []

    def instead(asked):
        posts.extend([asked] if "/import/predictions" in asked.path else [])
        return json_answer(400, {"detail": "the disk is full"}) if len(posts) == 2 else None

    proxy.instead = instead
    with pytest.raises(UserError, match=r"the disk is full(.|\n)*500 prediction\(s\) had been created"):
        predict_tasks(model, proxy.url, label_studio.owner.legacy, project, max_characters=500)
    told: list[float] = []
    again = predict_tasks(
        model, label_studio.url, label_studio.owner.personal, project, max_characters=500, progress=told.append
    )
    assert (again.created, again.skipped, told[-1]) == (100, 500, 1.0)
    assert '<Label value="INFRA"/>' in again.warnings[0]
    tasks = in_project(label_studio, project)
    assert [len(task["predictions"]) for task in tasks] == [1] * 600
    forms = [
        [task["data"]["body"][slice(region["value"]["start"], region["value"]["end"])] for region in made["result"]]
        for task in tasks
        for made in task["predictions"]
    ]
    assert forms == [["checkout"]] * 5 + [[], [], []] + [["checkout"]] * 592
    assert tasks[5]["predictions"][0]["score"] == 1


def test_a_project_that_does_not_fit_is_refused(label_studio, make_project, model):
    other = INTERFACE.replace("SERVICE", "OTHER")
    for number, said in [(make_project([]), "has no tasks"), (make_project([TEXT], other), "none of the model's")]:
        with pytest.raises(UserError, match=said):
            predict_tasks(model, label_studio.url, label_studio.owner.legacy, number)


def test_label_studio_connects_the_backend_asks_it_for_predictions_and_orders_by_them(
    label_studio, make_project, model, start_backend
):
    backend = start_backend(model)
    texts = [TEXT, "nothing is here", f"🚀 {TEXT} and what we never saw before", f"🚀 {TEXT} and Redis"]
    project = make_project(texts)
    connection = {
        "project": project, "url": backend, "title": "ours", "auth_method": "BASIC_AUTH", "basic_auth_user": "u",
        "basic_auth_pass": "s3cret", "is_interactive": True,
    }  # fmt: skip
    connected = label_studio.request("POST", "/api/ml/", connection)
    assert connected["readable_state"] == "Connected"
    everything = {"selectedItems": {"all": True, "excluded": []}}
    label_studio.request("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", everything)
    made = [task["predictions"] for task in in_project(label_studio, project)]
    assert [len(each) for each in made] == [1] * 4
    [version] = {each[0]["model_version"] for each in made}
    settings = {"model_version": version, "sampling": "Uncertainty sampling"}
    label_studio.request("PATCH", f"/api/projects/{project}/", settings)
    first = label_studio.request("GET", f"/api/projects/{project}/next")["predictions"][0]["score"]
    assert first == min(each[0]["score"] for each in made)
    # What a person marks is proposed elsewhere, as the page asks while Auto-Annotation is on.
    text = texts[3]
    value = {"start": 17, "end": 22, "text": "Redis", "labels": ["SERVICE"]}
    marked = {"value": value, "id": "m", "from_name": "l", "to_name": "t", "type": "labels", "origin": "manual"}
    asked = {"task": in_project(label_studio, project)[3]["id"], "context": {"result": [marked]}}
    proposed = label_studio.request("POST", f"/api/ml/{connected['id']}/interactive-annotating", asked)
    assert [text[each["value"]["start"] :] for each in proposed["data"]["result"]] == ["Redis"]
    # The whole project is predicted already by this model.
    done = predict_tasks(model, label_studio.url, label_studio.owner.legacy, project)
    assert (done.created, done.skipped) == (0, 4)


@pytest.fixture
def start_backend():
    """Start `domain-ner serve --label-studio`; gives its address."""
    for needed in ("uvicorn", "httptools", "uvloop"):
        pytest.importorskip(needed, reason="the serve extra is not installed")
    import subprocess
    import sys

    started = []

    def start_backend(model):
        command = [sys.executable, "-m", "spacy_domain_ner", "serve", str(model), "--label-studio", "--port", "0"]
        environment = {**os.environ, "NO_COLOR": "1", "DOMAIN_NER_TOKEN": "s3cret"}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        line = process.stderr.readline()
        assert "answers at http://" in line, line
        return line.split(" answers at ")[1].split(",")[0]

    yield start_backend
    for process in started:
        process.terminate()
        process.communicate(timeout=60)
