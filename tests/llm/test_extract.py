"""`extract --llm`: each entity says who has found it, and a failure leaves the model's own with the reason."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.llm_server import LLMServer, Oracle, Reply, fails, says
from helpers.memorized import memorized

from spacy_domain_ner import Extractor, HybridExtractor, UserError, extract_files, read_schema
from spacy_domain_ner.confidence import calibrate
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.llm.decision import Decision, TypeDecision, prompt_digest, write_decision
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.models import model_identity

pytest.importorskip("openai", reason="the llm extra is not installed")


def decide(project, server, confidence=0.9, **settings):
    """A decision as `llm evaluate` makes it, without its measurement."""
    project.configure(server.url, **settings)
    prompts = EntityPrompts(
        read_schema(project.folder / "entity_types.yml"), read_valid_passages(project.folder / "train.jsonl")
    )
    team, infra = TypeDecision(source="llm", confidence=confidence), TypeDecision(source="model", confidence=1)
    path = project.folder / "llm/decision.json"
    write_decision(
        path,
        Decision(
            settings="../llm.yml", entity_types="../entity_types.yml", train="../train.jsonl", asked=prompts.labels,
            prompt=prompt_digest(prompts), llm="scripted", model=model_identity(project.model),
            types={"TEAM": team, "INFRA": infra},
        ),
    )  # fmt: skip
    return path


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def test_types_of_the_llms_come_from_it_and_the_others_from_the_model(project):
    with LLMServer(Oracle(project.held_out)) as server:
        decision = decide(project, server)
        extraction = extract_files(
            project.folder / "model", [project.folder / "eval.jsonl"], project.folder / "out.jsonl", llm=decision
        )
        assert len(server.asked) == len(project.eval)
    assert not extraction.hybrid.notes
    assert extraction.hybrid.sent == len(project.eval)
    for row, passage in zip(rows(project.folder / "out.jsonl"), project.eval, strict=True):
        assert [(one["start"], one["end"], one["type"]) for one in row["entities"]] == [
            (span.start, span.end, span.label) for span in passage.spans
        ]
        assert [one["source"] for one in row["entities"]] == ["llm", "model"][: len(row["entities"])]
        assert row["llm"] == {"sent": True}


FAILURES = {
    "500": fails(500),
    "a reset": Reply(end="reset"),
    "a refusal": says(None, refusal="no"),
    "cut": says({"entities": []}, finish="length"),
    "nonsense": says("nothing"),
    "401": fails(401),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_leaves_the_models_own_entities_and_the_reason(project, failure):
    with LLMServer(Oracle(project.held_out)) as server:
        decision = decide(project, server)
    texts = [f"The new crew of day {number} restarted Redis" for number in range(12)]
    with LLMServer(lambda _: failure) as server:
        project.configure(server.url, retries=0)
        with HybridExtractor(Extractor(project.model), decision) as extractor:
            found = list(extractor(texts))
    for one in found:
        assert [(entity.name, entity.source) for entity in one.entities] == [("Redis", "model")]
        assert one.error
    assert extractor.errors.total() == len(texts)


def test_only_texts_in_which_the_model_expects_such_a_type_are_sent(project):
    known = [Passage("the gold crew is here", [Span(4, 13, "TEAM")]), Passage("nothing is here at all")]
    model = memorized("spacy_domain_ner_biluo_v1", known)
    with LLMServer(lambda _: says({"entities": []})) as server:
        decision = decide(project, server)
        settings = json.loads(decision.read_text(encoding="utf8"))
        settings["types"]["TEAM"] = {"source": "llm", "confidence": 0.9, "threshold": 0.5}
        decision.write_text(json.dumps(settings), encoding="utf8")
        before = len(server.asked)
        with HybridExtractor(Extractor(model), decision) as extractor:
            found = list(extractor([passage.text for passage in known]))
        assert [one.is_sent for one in found] == [True, False]
        assert [json.loads(asked.user)["passage"] for asked in server.asked[before:]] == [known[0].text]
    # The LLM finds no team there, and it is the LLM's type.
    assert [one.entities for one in found] == [[], []]
    assert any(note.startswith("The model has changed") for note in extractor.notes)


@pytest.mark.parametrize(
    ("asked", "is_kept"),
    [({"precision": 0.95}, False), ({"min_confidence": ["TEAM=0.99"]}, False), ({"min_confidence": 0.5}, True)],
)
def test_thresholds_hold_for_the_llms_entities_whose_confidence_is_its_measured_precision(project, asked, is_kept):
    known = [Passage("the gold crew is here", [Span(4, 13, "TEAM")]), Passage("nothing is here at all")]
    model = memorized("spacy_domain_ner_biluo_v1", known)
    calibrate(model, known * 20)
    with LLMServer(Oracle(project.held_out)) as server:
        decision = decide(project, server, confidence=0.8)
        with HybridExtractor(Extractor(model, **asked), decision, **asked) as extractor:
            found = [entity for one in extractor([each.text for each in project.eval]) for entity in one.entities]
    assert any(entity.source == "llm" for entity in found) is is_kept


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"workers": 2}, "`workers`"), ({"text_key": "llm"}, "`text_key` is 'llm'")],
)
def test_arguments_that_do_not_go_together(project, settings, says):
    with pytest.raises(UserError, match=says):
        extract_files(
            project.folder / "model", [project.folder / "eval.jsonl"], project.folder / "out.jsonl",
            llm=project.folder / "decision.json", **settings,
        )  # fmt: skip


def test_the_commands_say_where_text_goes_once_and_the_key_is_in_nothing_that_they_leave(project, files):
    key = "sk-Secret-of-this-test"
    oracle = Oracle(project.held_out)

    def script(asked):
        assert asked.headers["authorization"] == f"Bearer {key}"
        return fails(400, f"bad key {key}") if "day 2 " in asked.user else oracle(asked)

    with LLMServer(script) as server:
        project.configure(server.url, key_env="EXAMPLE_KEY", retries=0)
        environment = {**os.environ, "EXAMPLE_KEY": key, "NO_COLOR": "1", "OPENAI_LOG": "debug"}
        told = []
        for arguments in (
            ["llm", "evaluate", "model", "--train", "train.jsonl", "--dev", "dev.jsonl", "--eval", "eval.jsonl"],
            ["extract", "model", "eval.jsonl", "--llm", "llm/decision.json", "-o", "out.jsonl"],
        ):
            command = [str(Path(sys.executable).parent / "domain-ner"), *arguments]
            done = subprocess.run(
                command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert done.stderr.count(f"Text goes to {server.url}") == 1
            told.append(done.stdout + done.stderr)
    assert "The decision is in llm/decision.json" in told[0]
    assert "1 not answered, so the model's own entities stand there" in told[1]
    assert rows(project.folder / "out.jsonl")[2]["llm"]["error"]
    assert key not in "".join(told) + files()
