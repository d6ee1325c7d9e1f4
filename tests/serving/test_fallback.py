"""`serve --llm`: an LLM finds the types that were decided for it, and a failure leaves the model's own entities."""

import json
import sqlite3
import time
from contextlib import closing

import pytest
import spacy
from helpers.llm_server import LLMServer, fails, says

import spacy_domain_ner
from spacy_domain_ner.corpus import Passage, write_passages
from spacy_domain_ner.llm.decision import Decision, TypeDecision, prompt_digest, write_decision
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.models import model_identity
from spacy_domain_ner.schema import read_schema

pytest.importorskip("openai", reason="the llm extra is not installed")

SCHEMA = """
entity_types:
  - name: SERVICE
    definition: A program that runs.
  - name: INFRA
    definition: A store.
"""
TEXT = "checkout calls Redis"


def script(asked):
    text = json.loads(asked.user)["passage"]
    if "broken" in text:
        return fails(400)
    item = {"type": "SERVICE", "quote": text.split()[0], "before": ""}
    return says({"entities": [item]}, wait=30 if "slow" in text else 0)


@pytest.fixture(scope="module")
def llm():
    with LLMServer(script) as server:
        yield server


@pytest.fixture(scope="module")
def decision(llm, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "entity_types.yml").write_text(SCHEMA)
    (folder / "llm.yml").write_text(f"base_url: {llm.url}\nmodel: scripted\nretries: 0\n")
    write_passages(folder / "train.jsonl", [Passage("nothing is here")])
    prompts = EntityPrompts(read_schema(folder / "entity_types.yml"), [])
    decision = Decision(
        settings="../llm.yml", entity_types="../entity_types.yml", train="../train.jsonl", asked=["SERVICE", "INFRA"],
        prompt=prompt_digest(prompts), llm="scripted", model=model_identity(spacy.load(model)),
        types={
            "SERVICE": TypeDecision(source="llm", confidence=0.8, threshold=0.1),
            "INFRA": TypeDecision(source="model", confidence=1),
        },
    )  # fmt: skip
    (folder / "llm").mkdir()
    write_decision(folder / "llm/decision.json", decision)
    return folder / "llm/decision.json"


@pytest.fixture(scope="module")
def server(start_server, model, decision):
    return start_server(model, "--llm", decision, "--timeout", 2)


def found(answer):
    return [(entity["name"], entity["type"], entity["source"]) for entity in answer["entities"]]


def test_each_entity_says_who_has_found_it(server):
    answer = server.extract({"text": TEXT})
    assert found(answer) == [("checkout", "SERVICE", "llm"), ("Redis", "INFRA", "model")]
    assert answer["entities"][0]["confidence"] == 0.8
    assert answer["llm"] == {"sent": True}
    assert "expected" not in answer
    assert server.extract({"text": TEXT, "expected": True})["expected"].keys() == {"SERVICE", "INFRA"}


def test_only_passages_in_which_such_a_type_is_expected_are_sent(server, llm):
    before = len(llm.asked)
    first, second = server.extract({"passages": ["nothing is here", f"{TEXT} 🚀"]})["passages"]
    assert (first["entities"], first["llm"]) == ([], {"sent": False})
    assert second["llm"] == {"sent": True}
    assert [json.loads(asked.user)["passage"] for asked in llm.asked[before:]] == [f"{TEXT} 🚀"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"min_confidence": {"SERVICE": 0.85}}, ["Redis"]),
        ({"min_confidence": {"SERVICE": 0.75}}, ["checkout", "Redis"]),
        ({"precision": 0.9}, ["Redis"]),
    ],
)
def test_thresholds_hold_for_the_measured_precision_of_the_llm(server, asked, names):
    assert [entity["name"] for entity in server.extract({"text": TEXT, **asked})["entities"]] == names


def test_a_failure_and_a_late_answer_leave_the_models_own_entities_with_the_reason(server):
    begun = time.monotonic()
    broken, whole = server.extract({"passages": [f"{TEXT}\n\nnothing is broken", TEXT]})["passages"]
    assert found(broken) == [("checkout", "SERVICE", "model"), ("Redis", "INFRA", "model")]
    assert "HTTP 400" in broken["llm"]["error"]
    assert "error" not in whole["llm"]
    late = server.extract({"text": f"{TEXT}\n\nnothing is slow"})
    assert found(late) == [("checkout", "SERVICE", "model"), ("Redis", "INFRA", "model")]
    assert late["llm"] == {"sent": True, "error": "the LLM has not answered within 2 seconds"}
    assert time.monotonic() - begun < 20
    counts = server.ask("GET", "/metrics")[1]
    assert 'domain_ner_llm_passages_total{result="failed"} 2' in counts


def test_the_model_s_description_says_who_helps(server, llm):
    described = server.ask("GET", "/model")[1]["llm"]
    assert described["model"] == "scripted"
    assert described["host"] in llm.url
    assert described["types"] == {"SERVICE": {"confidence": 0.8}}


def test_the_command_says_where_text_goes(domain_ner, monkeypatch):
    def serve(*_, started, **__):
        started("http://127.0.0.1:8000", "small_ner 1.0", ["Text goes to http://127.0.0.1:9/v1 (model scripted)"])

    monkeypatch.setattr(spacy_domain_ner, "serve", serve, raising=False)
    assert "\nText goes to http://127.0.0.1:9/v1 (model scripted)\n" in domain_ner("serve", "model").err


def test_the_server_ends_while_an_llm_has_not_answered(start_server, model, decision):
    server = start_server(model, "--llm", decision, "--timeout", 2)
    server.extract({"text": f"{TEXT}\n\nnothing is slow here"})
    code, errors = server.end()
    assert code == 0
    assert "xception" not in errors


def test_a_ledger_that_can_not_be_used_leaves_the_models_own_entities(server, decision):
    with closing(sqlite3.connect(decision.parent / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("ALTER TABLE answers RENAME TO others")
        try:
            answer = server.extract({"text": f"{TEXT} today"})
        finally:
            ledger.execute("ALTER TABLE others RENAME TO answers")
    assert found(answer) == [("checkout", "SERVICE", "model"), ("Redis", "INFRA", "model")]
    assert "ledger.sqlite: no such table" in answer["llm"]["error"]
