"""What follows from scores and errors."""

import re

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import Predicted, analyse
from spacy_domain_ner.evaluation.forecasts import Forecast
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.verdict import judge

WORD = Span(0, 4, "A")
LONGER = Span(0, 7, "A")


def make(found=0, missed=0, spurious=0, confused=0, longer=0, misaligned=0, trained=500, name="Name", other="B"):
    """An analysis of this many passages with one mention of type A each, or without one where a model invents it."""
    cases = [
        *[([WORD], Predicted([WORD]))] * found,
        *[([WORD], Predicted([]))] * missed,
        *[([], Predicted([WORD]))] * spurious,
        *[([WORD], Predicted([Span(0, 4, other)]))] * confused,
        *[([WORD], Predicted([LONGER]))] * longer,
        *[([WORD], Predicted([], frozenset([WORD])))] * misaligned,
    ]
    passages = [Passage(f"{name} it {number}", list(gold)) for number, (gold, _) in enumerate(cases)]
    train = None if trained is None else [Passage("Else", [Span(0, 4, "A")])] * trained
    return analyse(passages, [predicted for _, predicted in cases], ["A"], train)


@pytest.mark.parametrize(
    ("counts", "trained", "name", "action"),
    [
        pytest.param({}, None, "unknown", "evaluate", id="no mention"),
        pytest.param({"spurious": 40}, 500, "unknown", "evaluate", id="only inventions"),
        pytest.param({"found": 9}, 500, "unknown", "evaluate", id="nine mentions"),
        pytest.param({"found": 190, "missed": 10, "spurious": 10, "name": "Else"}, 500, "ready", "use", id="ready"),
        pytest.param({"found": 85, "missed": 15, "spurious": 15}, 500, "probably ready", "evaluate", id="at the gate"),
        pytest.param({"found": 12}, 500, "probably ready", "evaluate", id="twelve mentions"),
        pytest.param({"found": 80, "missed": 5, "spurious": 30}, 500, "close", "relabel", id="inventions"),
        pytest.param({"found": 80, "missed": 30, "spurious": 5}, 500, "close", "label", id="misses"),
        pytest.param({"found": 80, "confused": 25, "missed": 6}, 500, "close", "clarify", id="confusions"),
        pytest.param({"found": 80, "longer": 14, "missed": 6}, 500, "close", "boundaries", id="boundaries"),
        pytest.param({"found": 50, "misaligned": 30, "missed": 3}, 500, "fallback", "tokenizer", id="tokenizer"),
        pytest.param({"found": 50, "spurious": 50}, 150, "fallback", "label", id="too few examples"),
        pytest.param({"missed": 40}, 500, "fallback", "label", id="finds nothing"),
    ],
)
def test_the_first_step_is_what_most_errors_need(counts, trained, name, action):
    verdict = judge(make(**counts, trained=trained), "A")
    assert (verdict.name, verdict.steps[0].action) == (name, action)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"missed": 30, "found": 30}, "30 are missed, 30 of them names that training never had"),
        ({"missed": 30, "found": 30, "name": "Else"}, "30 of them names that training has, in other contexts"),
        ({"confused": 30, "found": 30}, "between A and B, then relabel: they were confused 30 times"),
        ({"longer": 30, "found": 30}, "30 mentions have other ends, 30 times too long after: it"),
        ({"spurious": 30, "found": 30}, "30 predictions where nothing is annotated (30 times 'Name')"),
        ({"misaligned": 30, "found": 30}, "30 mentions begin or end inside a token"),
        (
            {"missed": 30, "found": 30, "trained": 150},
            "label 50 more examples: training has 150 of the 200 that make",
        ),
    ],
)
def test_the_advice_names_what_it_is_about(counts, words):
    assert words in judge(make(**counts), "A").advice


@pytest.mark.parametrize(
    ("counts", "actions", "words"),
    [
        pytest.param(
            {"found": 12},
            ["evaluate"],
            "judge on about 20 more mentions before you rely on it",
            id="few mentions, all right",
        ),
        pytest.param(
            {"found": 12, "trained": 40}, ["evaluate", "label"], "label 160 more examples", id="few examples, too"
        ),
        pytest.param(
            {"found": 87, "missed": 13, "spurious": 13, "name": "Else"},
            ["evaluate", "label", "relabel"],
            r"judge on about [1-9]\d0 more mentions",
            id="F1 not far above the gate",
        ),
        pytest.param(
            {"found": 850, "missed": 149, "spurious": 149, "name": "Else"},
            ["evaluate", "label", "relabel"],
            "F1 is too near the gate of 0.85 for a judgement",
            id="F1 at the gate",
        ),
    ],
)
def test_a_type_is_only_probably_ready_where_the_evidence_is_thin(counts, actions, words):
    verdict = judge(make(**counts), "A")
    assert verdict.name == "probably ready"
    assert [step.action for step in verdict.steps] == actions
    assert re.search(words, verdict.advice)


def test_a_type_whose_new_names_are_missed_is_only_probably_ready():
    forms = [("Known", True)] * 200 + [(f"New{number}", number < 10) for number in range(17)]
    passages = [Passage(form, [Span(0, len(form), "A")]) for form, _ in forms]
    predicted = [Predicted(list(one.spans) if finds else []) for one, (_, finds) in zip(passages, forms, strict=True)]
    verdict = judge(analyse(passages, predicted, ["A"], [Passage("Known", [Span(0, 5, "A")])] * 300), "A")
    assert (verdict.name, verdict.certainty) == ("probably ready", "")
    assert verdict.steps[0].text == (
        "label examples with new names: recall is 59 % for 17 mentions whose name training never had; 7 are missed, "
        "7 of them names that training never had"
    )
    # Without the training set nobody knows which names are new.
    assert judge(analyse(passages, predicted, ["A"]), "A").name == "ready"


def test_a_cause_of_few_errors_is_not_named():
    advice = judge(make(found=40, missed=40, longer=3), "A").advice
    assert "other ends" not in advice


def test_an_llm_is_the_last_step_once_there_are_enough_examples():
    low = {"found": 30, "missed": 40}
    assert judge(make(**low, trained=500), "A").steps[-1].text.startswith("F1 is still low with 500 examples")
    assert judge(make(**low, trained=200), "A").steps[-1].text.startswith("if that does not help, use an LLM")
    assert judge(make(**low, trained=None), "A").steps[-1].action == "llm"
    assert "LLM" not in judge(make(**low, trained=150), "A").advice
    assert "LLM" not in judge(make(found=82, missed=30), "A").advice


def forecast(f1=0.6, worth_it=True):
    text = "A: about 300 more examples for F1 0.85 (200 to 500)" if worth_it else "A: more data will hardly help"
    return Forecast(512, f1, (0.7, 0.65, 0.75), 300, (200, 500), text, worth_it)


def test_the_advice_to_label_says_how_many_by_the_forecast():
    [first, *others] = judge(make(found=30, missed=40), "A", forecast=forecast()).steps
    assert first.text.endswith(
        "; by the learning curve of 512 examples: about 300 more examples for F1 0.85 (200 to 500)"
    )
    assert first.text.startswith("label more examples: 40 are missed")
    assert not any("curve" in step.text for step in others)


def test_the_forecast_does_not_add_a_second_number():
    steps = judge(make(found=30, missed=40, trained=150), "A", forecast=forecast(worth_it=False)).steps
    assert [step.action for step in steps] == ["label"]
    assert "; 40 are missed, 40 of them names that training never had" in steps[0].text
    assert steps[0].text.startswith("label 50 more examples")
    assert not any("curve" in step.text for step in steps)


@pytest.mark.parametrize("trained", [200, 500, None])
def test_an_llm_comes_before_more_examples_that_will_hardly_help(trained):
    low = make(found=30, missed=40, confused=8, spurious=30, trained=trained)
    assert [step.action for step in judge(low, "A").steps] == ["label", "relabel", "llm"]
    steps = judge(low, "A", forecast=forecast(worth_it=False)).steps
    assert [step.action for step in steps] == ["llm", "label", "relabel"]
    assert "by the learning curve more examples will hardly help" in steps[0].text
    # Without a step to label more it stays the last one, and a type that is close does not need it.
    invents = make(found=60, spurious=90, trained=trained)
    assert [step.action for step in judge(invents, "A", forecast=forecast(worth_it=False)).steps] == ["relabel", "llm"]
    close = make(found=80, missed=30, spurious=5, trained=trained)
    assert "llm" not in [step.action for step in judge(close, "A", forecast=forecast(worth_it=False)).steps]


def test_a_forecast_from_beyond_the_gate_is_left_out():
    analysis = make(found=80, missed=30, spurious=5)
    assert judge(analysis, "A", forecast=forecast(f1=0.86)) == judge(analysis, "A")
    assert "curve" in judge(analysis, "A", Gates(0.9, 0.7), forecast(f1=0.86)).advice


def test_given_gates_are_used():
    analysis = make(found=70, missed=30, spurious=30, name="Else")
    assert judge(analysis, "A", Gates(0.6, 0.5)).name == "ready"
    assert judge(analysis, "A", Gates(0.9, 0.6)).name == "close"
    with pytest.raises(UserError, match=r"`gate` is 0\.5 and `fallback` is 0\.8"):
        Gates(0.5, 0.8)


def test_how_certain_a_verdict_is_comes_from_the_bootstrap():
    sure = judge(make(found=500, missed=10, name="Else"), "A")
    assert sure.certainty == ""
    assert sum(sure.shares.values()) == pytest.approx(1)
    close = judge(make(found=86, missed=15, spurious=14), "A")
    assert re.fullmatch(r"\d\d of 100 other evaluation sets would say (close|fallback)", close.certainty)
    assert 0.3 < close.shares["ready"] < 0.8
    assert judge(make(found=20), "A").certainty == "only 20 mentions to judge by"
    assert judge(make(found=3), "A").certainty == "only 3 mentions to judge by"


def test_the_kind_of_name_that_is_missed_is_named():
    passages, predicted = [], []
    for number in range(40):
        for form, finds in ((f"name-{number}", number % 4 == 0), (f"Name{number}x", number % 4 > 0)):
            span = Span(0, len(form), "A")
            passages.append(Passage(form, [span], {"genre": "chat" if number % 4 == 0 else "docs"}))
            predicted.append(Predicted([span] if finds else []))
    advice = judge(analyse(passages, predicted, ["A"], []), "A").advice
    assert "recall is 25 % for names with hyphens, dots or similar signs and 75 % for others" in advice
    # Chat has as many of both.
    assert "for genre" not in advice


def test_the_group_that_is_hardest_is_named():
    passages = [Passage("Name", [WORD], {"genre": ("chat", "docs")[number % 2]}) for number in range(80)]
    predicted = [Predicted([WORD] if number % 2 or number % 8 == 0 else []) for number in range(80)]
    assert "recall is 25 % for genre chat and 100 % for others" in judge(analyse(passages, predicted), "A").advice
