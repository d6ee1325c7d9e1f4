"""`domain-ner serve --label-studio`, asked as Label Studio 1.23.2 asks it."""

import base64
import os
import threading
import time
from pathlib import Path

import pytest

from spacy_domain_ner import create_app
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.label_studio.training import Run, Training, run
from spacy_domain_ner.serving.settings import Settings

INTERFACE = (
    '<View><Labels name="label" toName="body"><Label value="SERVICE"/></Labels><Text name="body" value="$text"/></View>'
)
TEXT = "🚀 checkout calls Redis"


def basic(password: str, user: str = "anybody") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def server(start_server, model):
    return start_server(model, "--label-studio", "--max-characters", 1000, "--queue", 1000, token="s3cret")


@pytest.fixture(scope="module")
def ask(server):
    """Send what Label Studio sends, with its password."""

    def ask(path, body=None, password="s3cret"):
        return server.ask("GET" if body is None else "POST", path, body, Authorization=basic(password))

    return ask


def wanted(*texts, interface=INTERFACE, context=None):
    tasks = [{"id": number, "data": {"text": text}, "drafts": []} for number, text in enumerate(texts)]
    params = {"login": None, "password": None, "context": context}
    return {"tasks": tasks, "project": "12.1795227109", "label_config": interface, "params": params}


def predicted(answer):
    """For each task the forms that were found."""
    return [[region["value"]["text"] for region in each["result"]] for each in answer["results"]]


def test_a_project_is_connected_and_told_the_model_s_version(ask):
    setup = {"project": "12.1", "schema": INTERFACE, "hostname": "http://x", "access_token": "t", "extra_params": None}
    status, answer = ask("/setup", setup)
    assert (status, list(answer)) == (200, ["model_version"])
    assert answer["model_version"].startswith("en_small_ner-1.2.3-")
    assert ask("/versions") == (200, {"versions": [answer["model_version"]]})
    assert ask("/health", password="wrong")[0] == 200


def test_labels_that_the_interface_lacks_are_on_the_page_with_the_line_to_add(ask):
    ask("/predict", wanted(TEXT))
    status, page = ask("/label-studio")
    assert status == 200
    assert "Project 12: The labelling interface lacks 1 label" in page
    assert "&lt;Label value=&#34;INFRA&#34;/&gt;" in page


def test_each_task_has_one_prediction_in_its_place_whatever_is_wrong_with_it(ask):
    texts = [TEXT, "", "nothing is here", None, "x" * 1001, 7, "checkout calls Redis", "half \ud83d", ["checkout"]]
    status, answer = ask("/predict", wanted(*texts))
    assert status == 200
    assert predicted(answer) == [["checkout"], [], [], [], [], [], ["checkout"], [], []]
    assert [number for number, each in enumerate(answer["results"]) if "error" in each] == [1, 3, 4, 5, 7, 8]
    assert all(0 <= each["score"] <= 1 and each["model_version"] for each in answer["results"])
    value = answer["results"][0]["result"][0]["value"]
    assert TEXT[value["start"] : value["end"]] == "checkout"


def test_tasks_that_are_no_objects_and_none_at_all_are_answered(ask):
    assert ask("/predict", {**wanted(), "tasks": [None, 5, {}, {"data": 5}]})[1]["results"][3]["result"] == []
    assert ask("/predict", wanted())[1]["results"] == []


def test_more_tasks_than_may_wait_and_a_body_larger_than_others_may_be_are_predicted(ask):
    texts = [TEXT, "nothing is here", "nothing is here"] * 500
    answer = ask("/predict", {**wanted(*texts), "meta": "x" * 9_000_000})[1]
    assert predicted(answer) == [["checkout"], [], []] * 500


def test_what_a_person_marks_is_proposed_elsewhere(ask):
    text = "Kafka and Kafka, Kafkas and checkout"
    value = {"start": 0, "end": 5, "text": "Kafka", "labels": ["SERVICE"]}
    marked = {"result": [{"from_name": "label", "to_name": "body", "type": "labels", "value": value}]}
    answer = ask("/predict", wanted(text, context=marked))[1]
    assert [each["value"]["start"] for each in answer["results"][0]["result"]] == [10]
    assert predicted(ask("/predict", wanted(text, context={"result": []}))[1])[0][-1] == "checkout"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/predict", {"tasks": 5, "label_config": INTERFACE}, 422),
        ("/predict", {"tasks": []}, 422),
        ("/predict", [], 422),
        ("/predict", b"{", 400),
        ("/setup", {"schema": "<View/>", "project": "3.1"}, 422),
        ("/setup", {"schema": None}, 422),
        ("/webhook", b"", 400),
        ("/webhook", 5, 422),
    ],
)
def test_requests_of_another_form_are_refused_with_the_reason(ask, path, body, status):
    found, answer = ask(path, body)
    assert (found, bool(answer["error"])) == (status, True)


def test_only_the_token_as_password_or_bearer_opens_the_routes(server, ask):
    for path in ("/setup", "/predict", "/versions", "/label-studio"):
        method = "GET" if path in ("/versions", "/label-studio") else "POST"
        for header in ("", basic("wrong"), basic(""), "Basic !", "Basic", "Bearer wrong", basic("s3cret")[:-4]):
            assert server.ask(method, path, None, Authorization=header)[0] == 401
            assert server.headers["www-authenticate"].startswith("Basic")
    assert server.ask("GET", "/versions", None, Authorization="Bearer s3cret")[0] == 200
    # What is not Label Studio's takes no password.
    assert server.ask("POST", "/extract", {"text": TEXT}, Authorization=basic("s3cret"))[0] == 401


def test_what_happens_to_annotations_comes_without_a_password_and_training_only_with_it(server, ask):
    assert server.ask("POST", "/webhook", {"action": "ANNOTATION_CREATED"})[0] == 200
    training = {"action": "START_TRAINING", "project": {"id": 12}}
    assert server.ask("POST", "/webhook", training)[0] == 401
    status, answer = ask("/webhook", training)
    assert status == 200
    assert "does not train" in answer["training"]


def test_the_routes_are_not_there_where_they_are_not_asked_for(model):
    paths = {route.path for route in create_app(model).routes}
    assert "/extract" in paths
    assert not paths & {"/setup", "/predict", "/webhook", "/versions", "/label-studio"}


# Training


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project whose commands are not there: what is run is replaced."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "project.yml").write_text("vars:\n  annotations: assets/annotations.jsonl\n")
    for name, value in (("LABEL_STUDIO_URL", "http://127.0.0.1:9"), ("LABEL_STUDIO_TOKEN", "f" * 40)):
        monkeypatch.setenv(name, value)
    return folder


def test_what_training_needs_is_said_before_the_server_answers(project, model, monkeypatch):
    (project / "training/model-best").mkdir(parents=True)
    for folder, served, said in [
        (project / "nowhere", model, "has no project.yml"),
        (project, "en_small_ner", "is not a folder"),
        (project, project / "training/model-best", "where the project trains"),
    ]:
        with pytest.raises(UserError, match=said):
            Training(folder, served)
    monkeypatch.delenv("LABEL_STUDIO_TOKEN")
    with pytest.raises(UserError, match="LABEL_STUDIO_TOKEN is not set"):
        Training(project, model)


def test_training_needs_a_token_since_any_page_in_a_browser_can_send_a_webhook(project):
    with pytest.raises(UserError, match="needs a token"):
        Settings(label_studio=True, train_in=project)
    with pytest.raises(UserError, match="`label_studio`"):
        Settings(train_in=project, token="s3cret")


def test_a_run_that_fails_says_so_and_another_one_may_begin(project, model):
    training = Training(project, model)
    assert training.status() == Run()
    ended = []
    begun = training.start(12, ended.append)
    assert (begun.state, begun.project) == ("running", 12)
    assert training.start(13, ended.append).project == 12
    until = time.monotonic() + 60
    while not ended and time.monotonic() < until:
        time.sleep(0.1)
    assert (ended[0].state, ended[0].step) == ("failed", "pulling")
    assert "The old model stays" in ended[0].what
    assert "127.0.0.1:9" in training.log()
    assert not list((project / "label_studio").glob(".*lock*"))


def test_of_runs_that_are_asked_for_at_once_one_begins_and_the_log_is_its_own(project, model, monkeypatch):
    started = []

    class Process:
        def __init__(self, *_, stdout, **__):
            started.append(stdout.write(b"begun\n"))

        def wait(self):
            threading.Event().wait(1)

    monkeypatch.setattr("subprocess.Popen", Process)
    servers = [Training(project, model) for _ in range(2)]
    threads = [threading.Thread(target=servers[n % 2].start, args=(n, lambda run: None)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
    assert servers[0].log() == servers[1].log() == "begun"


def test_a_run_that_was_killed_is_interrupted(project, model):
    training = Training(project, model)
    training.folder.mkdir()
    (training.folder / "training.json").write_text('{"state": "running", "step": "training", "started": 1.0}')
    assert training.status().state == "interrupted"


@pytest.mark.parametrize("is_worse", [True, False])
def test_the_new_model_takes_the_served_one_s_place_only_where_it_is_not_worse(
    project, model, tmp_path, monkeypatch, is_worse
):
    import shutil

    import spacy

    from spacy_domain_ner.corpus import Passage, Span, write_passages

    good, bad = tmp_path / "good", tmp_path / "bad"
    shutil.copytree(model, good)
    nlp = spacy.load(model)
    nlp.get_pipe("ner").model.initialize()
    nlp.to_disk(bad)
    served, new = (good, bad) if is_worse else (bad, good)
    shutil.copytree(new, project / "training/model-best")
    (project / "corpus").mkdir()
    text = "checkout calls Redis"
    annotated = [Passage(text, [Span(0, 8, "SERVICE"), Span(15, 20, "INFRA")], {"source": str(n)}) for n in range(30)]
    write_passages(project / "corpus/eval.jsonl", annotated)
    (project / "entity_types.yml").write_text("entity_types:\n- name: SERVICE\n- name: INFRA\n")
    # The commands themselves are tested where they are.
    monkeypatch.setattr("subprocess.run", lambda command, **_: __import__("subprocess").CompletedProcess(command, 0))
    before = (served / "ner/model").read_bytes()
    done = run(project, served, 12)
    assert done.state == ("kept" if is_worse else "replaced"), done.what
    after = (served / "ner/model").read_bytes()
    assert (after == before) == is_worse
    assert is_worse or after == (new / "ner/model").read_bytes()
    assert os.listdir(served)
