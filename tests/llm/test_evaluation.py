"""An LLM beside the model: the planted F1 is found, the choice is made on one set and confirmed on the other."""

import json

import pytest
from helpers.llm_server import LLMServer, Oracle, fails, says

from spacy_domain_ner import UserError, compare_with_llm
from spacy_domain_ner.llm.decision import read_decision

pytest.importorskip("openai", reason="the llm extra is not installed")


def test_the_planted_f1_is_found_and_a_type_that_the_model_misses_is_decided_for_the_llm(project):
    with LLMServer(Oracle(project.held_out, misses=0.2, wrong=0.1)) as server:
        settings = project.configure(server.url, price="{input: 1, output: 1}")
        told = []
        comparison = compare_with_llm(project.model, settings, begin=told.append, **project.sets())
        again = compare_with_llm(project.model, settings, **project.sets())
        # One request per passage, and none for the second run.
        assert len(server.asked) == len(project.held_out)
    assert told == [f"Text goes to {server.url} (model scripted)"]
    assert again.decision.types == comparison.decision.types
    for side in (comparison.dev, comparison.eval):
        # Recall 0.8 and precision 0.8 / 0.9 are planted: F1 is 0.842.
        for label in ("TEAM", "INFRA"):
            found = side.types[label].llm
            assert found.low <= 0.842 <= found.high
        assert side.types["INFRA"].model.value == 1
        assert side.types["TEAM"].hybrid == side.types["TEAM"].llm
        assert side.dollars == pytest.approx(0.12)
    decided = comparison.decision.types
    assert (decided["TEAM"].source, decided["INFRA"].source) == ("llm", "model")
    assert decided["TEAM"].is_confirmed
    assert decided["TEAM"].confidence == pytest.approx(0.889, abs=0.08)
    # A model with rules can't say what it expects.
    assert any("every passage is sent" in note for note in comparison.notes)
    assert read_decision(project.folder / "llm/decision.json").types == decided


def test_where_the_llm_is_no_better_nothing_is_decided_and_the_evaluation_set_is_not_asked(project):
    with LLMServer(lambda _: says({"entities": []})) as server:
        comparison = compare_with_llm(project.model, project.configure(server.url), **project.sets())
        assert len(server.asked) == len(project.dev)
    assert not comparison.decision.from_llm
    assert comparison.eval is None


def test_a_choice_that_the_evaluation_set_contradicts_is_taken_back(project):
    # On the early-stopping set it finds what the model misses; then it finds nothing where the model finds all.
    project.model.get_pipe("entity_ruler").add_patterns(
        [{"label": "TEAM", "pattern": [{"TEXT": "eval"}, {}, {"TEXT": "crew"}]}]
    )
    with LLMServer(Oracle(project.dev)) as server:
        comparison = compare_with_llm(project.model, project.configure(server.url), **project.sets())
    assert comparison.decision.types["TEAM"].source == "model"
    assert comparison.decision.types["TEAM"].is_confirmed is False
    assert any("shows the contrary" in note for note in comparison.notes)


def test_passages_that_are_not_answered_are_told_and_too_many_of_them_are_an_error(project):
    oracle = Oracle(project.held_out)

    def script(asked):
        return fails(418, "teapot") if "day 1" in asked.user else oracle(asked)

    with LLMServer(script) as server:
        comparison = compare_with_llm(project.model, project.configure(server.url), types=["TEAM"], **project.sets())
        assert comparison.dev.failed == 11
        assert any("11 of 60 passages" in note and "teapot" in note for note in comparison.notes)
        assert list(comparison.decision.types) == ["TEAM"]
    with LLMServer(lambda _: fails(418, "teapot")) as server, pytest.raises(UserError, match=r"60 of 60 .* teapot"):
        compare_with_llm(project.model, project.configure(server.url), **project.sets())


def test_what_keeps_it_from_asking_is_an_error_and_not_a_score(project):
    with LLMServer(lambda _: fails(401, "wrong key")) as server, pytest.raises(UserError, match="401: wrong key"):
        compare_with_llm(project.model, project.configure(server.url), **project.sets())
    with LLMServer(Oracle(project.held_out)) as server:
        settings = project.configure(server.url, price="{input: 100, output: 100}", budget=2.0)
        with pytest.raises(UserError, match="The budget is used up after"):
            compare_with_llm(project.model, settings, **project.sets())
        assert sum(100 * 120 / 1e6 for _ in server.asked) <= 2.0


def test_a_passage_of_the_training_set_is_not_measured_on(project):
    (project.folder / "eval.jsonl").write_text(
        json.dumps({"text": "🚀  The train 0 crew restarted Redis on day 0 of train"}) + "\n", encoding="utf8"
    )
    with pytest.raises(UserError, match="is also in"):
        compare_with_llm(project.model, project.configure("http://127.0.0.1:9/v1"), **project.sets())


def test_the_most_passages_are_the_same_ones_each_time(project):
    with LLMServer(Oracle(project.held_out)) as server:
        settings = project.configure(server.url)
        for _ in range(2):
            compare_with_llm(project.model, settings, most=20, **project.sets())
        assert len(server.asked) == 40
