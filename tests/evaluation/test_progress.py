"""A run against an earlier one."""

import pytest
import srsly

from spacy_domain_ner.corpus import Passage, Span, read_passages
from spacy_domain_ner.evaluation.analysis import Predicted, analyse
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.evaluation.progress import Change, Progress, compare_runs, in_words, rotate_predictions
from spacy_domain_ner.files import write_together

A, B = Span(0, 1, "A"), Span(2, 3, "B")


def analysis(passages: list[Passage], predicted: list[list[Span]]):
    return analyse(passages, [Predicted(spans) for spans in predicted], ["A", "B"])


def rotate(file, passages: list[Passage], predicted: list[list[Span]]) -> list[Passage]:
    earlier, contents = rotate_predictions(file, passages, [Predicted(spans) for spans in predicted])
    write_together(contents)
    return earlier


def test_what_only_one_of_two_runs_got_right_is_listed():
    passages = [Passage("a b", [A, B], {"source": "1"}), Passage("a b", [A], {"source": "2"})]
    now = analysis(passages, [[A], [A, B]])
    earlier = [Passage("a b", [B], {"source": "1"}), Passage("a b", [], {"source": "2"})]
    progress = compare_runs(now, earlier)
    assert progress.changes == [
        Change(0, A, better=True, annotated=True),
        Change(0, B, better=False, annotated=True),
        Change(1, A, better=True, annotated=True),
        Change(1, B, better=False, annotated=False),
    ]
    assert progress.types["A"].value == 1.0
    assert progress.types["B"].value < 0
    assert progress.to_dict()["better"] == progress.to_dict()["worse"] == 2


def test_only_passages_of_both_runs_count_and_by_todays_annotation():
    passages = [Passage("a b", [A], {"source": "1"}), Passage("a c", [A])]
    now = analysis(passages, [[A], []])
    # What was right then is wrong by now: the annotation was fixed.
    earlier = [Passage("a b", [B], {"source": "1"}), Passage("gone", [A])]
    progress = compare_runs(now, earlier)
    assert progress.passages == 1
    assert progress.micro.value == 1.0
    assert compare_runs(now, [Passage("a b", [A], {"source": "other"})]) is None


def test_the_same_predictions_are_no_change():
    passages = [Passage("a b", [A, B])] * 2
    now = analysis(passages, [[A], [B]])
    progress = compare_runs(analysis(passages[:1], [[A]]), [Passage("a b", [A])])
    assert progress.changes == []
    assert (progress.micro.value, progress.micro.low, progress.micro.high) == (0, 0, 0)
    assert now.micro.score.true_positives == 2


def spans(text: str) -> list[Span]:
    """The spans of "A. .B": a type's letter for each of the text's characters, "." for none."""
    return [Span(number, number + 1, letter) for number, letter in enumerate(text) if letter != "."]


@pytest.mark.parametrize(
    ("gold", "now", "then", "renamed", "differences"),
    [
        # Renamed, and the model is as good as before, a wrong prediction included.
        ("AAAB..", "AAAB.A", "XXXB.X", {"X": "A"}, {"A": 0, "B": 0}),
        # Renamed, and better than before.
        ("AAAB..", "AAAB..", "X.XB..", {"X": "A"}, {"A": 0.2, "B": 0}),
        # Put together with one that was there.
        ("AAAB..", "AAAB..", "AXXB..", {"X": "A"}, {"A": 0, "B": 0}),
        # Divided into two new ones.
        ("AABBB.", "AABBB.", "XXXXX.", {"X": "B"}, {"A": 0, "B": 0}),
        # Put in place of two, one of which was a mistake for B.
        ("AAAB..", "AAAB..", "XXYY..", {"X": "A", "Y": "B"}, {"A": 0.2, "B": 1 / 3}),
        # Given up: what it predicted is not a mistake of today's types.
        ("AA....", "AA....", "AAX.X.", {"X": ""}, {"A": 0}),
        # Given up, and one of its mistakes was a mention of another.
        ("AB....", "AB....", "AXXXXX", {"X": ""}, {"A": 0, "B": 1}),
        # Nothing is gone: a type that was never found is found now.
        ("AAB...", "AAB...", "AA....", {}, {"A": 0, "B": 1}),
    ],
)
def test_a_type_that_was_renamed_is_compared_under_its_new_name(gold, now, then, renamed, differences):
    passages = [Passage("abcdef", spans(gold), {"source": str(number)}) for number in range(20)]
    earlier = [Passage(passage.text, spans(then), passage.meta) for passage in passages]
    progress = compare_runs(analysis(passages, [spans(now)] * 20), earlier)
    assert progress.renamed == progress.to_dict()["renamed"] == renamed
    found = {label: estimate.value for label, estimate in progress.types.items() if estimate is not None}
    assert {label: found[label] for label in differences} == pytest.approx(differences)
    assert not set(renamed) & set(found)


def test_how_renamed_types_are_counted_is_said():
    progress = Progress(1, None, {}, [], {"SVC": "SERVICE", "OLD": ""})
    assert progress.renamed_in_words == (
        "SVC of the earlier run is counted as SERVICE. OLD of the earlier run is left out."
    )


def test_the_run_before_is_the_latest_that_was_another(tmp_path):
    file = tmp_path / "predictions.jsonl"
    passages = [Passage("a b", [A, B], {"source": "1", "genre": "chat"})]
    assert rotate(file, passages, [[A]]) == []
    [kept] = read_passages(file).passages
    assert (kept.spans, kept.meta) == ([A], {"source": "1"})
    # The same again is not another run.
    assert rotate(file, passages, [[A]]) == []
    # Nor is it on an evaluation set that has grown.
    more = [*passages, Passage("new", [], {"source": "2"})]
    assert rotate(file, more, [[A], [B]]) == []
    for _ in range(2):
        before, _ = rotate(file, passages, [[A, B]])
        assert before.spans == [A]
        assert before.text == "a b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions-before.jsonl", "predictions.jsonl"]


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(0.02, 0.01, 0.03), "+2.0 points of F1 (+1.0 to +3.0), more than chance"),
        (Estimate(-0.02, -0.03, -0.01), "−2.0 points of F1 (−3.0 to −1.0), more than chance"),
        (Estimate(0.02, -0.01, 0.05), "+2.0 points of F1 (−1.0 to +5.0), not more than chance"),
    ],
)
def test_a_difference_says_whether_it_is_more_than_chance(estimate, words):
    assert in_words(estimate) == words


def test_predictions_are_kept_with_their_confidence_where_the_model_has_one(tmp_path):
    file = tmp_path / "predictions.jsonl"
    passages = [Passage("a b", [A]), Passage("c d")]
    write_together(rotate_predictions(file, passages, [Predicted([B, A], confidences={A: 0.98765}), Predicted([])])[1])
    first, second = srsly.read_jsonl(file)
    assert first["spans"] == [
        {"start": 0, "end": 1, "label": "A", "confidence": 0.9877},
        {"start": 2, "end": 3, "label": "B"},
    ]
    assert second["spans"] == []
    assert [passage.spans for passage in read_passages(file).passages] == [[A, B], []]
    # The same model, more or less sure: not another run.
    less = [Predicted([B, A], confidences={A: 0.5}), Predicted([])]
    assert rotate_predictions(file, passages, less)[0] == []
