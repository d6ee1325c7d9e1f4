"""Which versions of a passage count, and the one annotation that is made of them."""

import pytest
from helpers.versions import A, B, version

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.exchange.cleaning import CleanVersion
from spacy_domain_ner.exchange.combining import candidates, combine
from spacy_domain_ner.exchange.formats.version import Status
from spacy_domain_ner.exchange.policies import Annotators, GroundTruth, KeepOrDrop, Policies
from spacy_domain_ner.exchange.reasons import Reason


def counting(*versions, **policies):
    """The indices of the versions that count, and the reasons of the others."""
    chosen, left_out = candidates(list(versions), Policies(**policies))
    return [next(i for i, v in enumerate(versions) if v is one) for one in chosen], [reason for _, reason in left_out]


ANN, BEN, ZOE = version(A, by="ann"), version(B, by="ben"), version(A, by="zoe", truth=True)
SKIPPED, PARTIAL = version(A, by="ben", status=Status.SKIPPED), version(A, status=Status.PARTIAL)
PREDICTED, OPEN = version(A, status=Status.PREDICTED), version(status=Status.UNANNOTATED)
UNSURE = version(by="kim", status=Status.UNCONFIRMED)
DECLINED = version(A, status=Status.DECLINED)


@pytest.mark.parametrize(
    ("versions", "policies", "expected", "reasons"),
    [
        pytest.param([ANN, BEN], {}, [0, 1], [], id="two people"),
        pytest.param([ANN, SKIPPED], {}, [0], [Reason.SKIPPED], id="one skipped it"),
        pytest.param([SKIPPED], {}, [], [Reason.SKIPPED], id="all skipped it"),
        pytest.param([SKIPPED], {"skipped": KeepOrDrop.keep}, [0], [], id="skipped, and wanted"),
        pytest.param([DECLINED], {"skipped": KeepOrDrop.keep}, [], [Reason.SKIPPED], id="no answer to a question"),
        pytest.param([PARTIAL, OPEN], {}, [], [Reason.PARTIAL, Reason.UNANNOTATED], id="in part and not at all"),
        pytest.param([PARTIAL, ANN], {}, [1], [Reason.PARTIAL], id="in part, and wholly"),
        pytest.param([PREDICTED], {}, [], [Reason.PREDICTED], id="predicted"),
        pytest.param([PREDICTED], {"predictions": KeepOrDrop.keep}, [0], [], id="predicted, and wanted"),
        pytest.param(
            [PREDICTED, ANN], {"predictions": KeepOrDrop.keep}, [1], [Reason.PREDICTED], id="predicted, but annotated"
        ),
        pytest.param(
            [PREDICTED, SKIPPED], {"predictions": KeepOrDrop.keep}, [0], [Reason.SKIPPED], id="predicted and skipped"
        ),
        pytest.param([UNSURE], {}, [0], [], id="empty, and nobody knows better"),
        pytest.param(
            [UNSURE, version(by="kim", status=Status.UNCONFIRMED)],
            {},
            [1],
            [Reason.REPLACED],
            id="empty twice by one person",
        ),
        pytest.param([ANN, UNSURE], {}, [0], [Reason.UNCONFIRMED], id="empty, but annotated by another"),
        pytest.param([UNSURE, version(by="ann")], {}, [1], [Reason.UNCONFIRMED], id="empty for certain"),
        pytest.param([ANN, ZOE], {}, [1], [Reason.NOT_GROUND_TRUTH], id="ground truth"),
        pytest.param([ANN, ZOE], {"ground_truth": GroundTruth.ignore}, [0, 1], [], id="ground truth ignored"),
        pytest.param(
            [ANN, BEN],
            {"ground_truth": GroundTruth.only},
            [],
            [Reason.NOT_GROUND_TRUTH] * 2,
            id="ground truth only, none",
        ),
        pytest.param(
            [ANN, ZOE], {"ground_truth": GroundTruth.only}, [1], [Reason.NOT_GROUND_TRUTH], id="ground truth only"
        ),
        pytest.param([ANN, BEN], {"only_annotators": ("ben",)}, [1], [Reason.OTHER_ANNOTATOR], id="one person only"),
        pytest.param(
            [ANN, BEN], {"only_annotators": ("kim",)}, [], [Reason.OTHER_ANNOTATOR] * 2, id="one who is not there"
        ),
        pytest.param([ANN, version(B, by="ann")], {}, [1], [Reason.REPLACED], id="a second version"),
        pytest.param([version(A), version(B)], {}, [0, 1], [], id="nobody knows who made them"),
        pytest.param(
            [ANN, version(B, by="ann")], {"annotators": Annotators.each}, [0, 1], [], id="each of a person's versions"
        ),
        pytest.param(
            [version(A, by="ann", made="2026-02"), version(B, by="ann", made="2026-01")],
            {},
            [0],
            [Reason.REPLACED],
            id="by time",
        ),
        pytest.param(
            [version(A, by="ann", made="2026-02"), version(B, by="ann")],
            {},
            [1],
            [Reason.REPLACED],
            id="by place where a time is missing",
        ),
    ],
)
def test_the_versions_that_count(versions, policies, expected, reasons):
    chosen, left_out = counting(*versions, **policies)
    assert chosen == expected
    assert left_out == reasons


def cleaned_versions(*spans_of_each):
    return [
        CleanVersion(version(by=name), [Span(0, n, "A") for n in spans])
        for name, spans in zip("abcd", spans_of_each, strict=False)
    ]


@pytest.mark.parametrize(
    ("versions", "policy", "expected"),
    [
        pytest.param([[1], [1]], "one", [[1]], id="one mind"),
        pytest.param([[1], [2]], "one", [[2]], id="two minds: the last"),
        pytest.param([[1, 2], [1, 2], [3]], "one", [[1, 2]], id="the one nearest to the others"),
        pytest.param([[1], [], []], "one", [[]], id="all far apart: the last"),
        pytest.param([[1], [1, 2], [2, 3]], "majority", [[1, 2]], id="two of three"),
        pytest.param([[1], [2]], "majority", [[]], id="half is no majority"),
        pytest.param([[1, 2], [2]], "majority", [[2]], id="both"),
        pytest.param([[1], [1]], "agreed", [[1]], id="agreed"),
        pytest.param([[], []], "agreed", [[]], id="agreed that there is nothing"),
        pytest.param([[1], [1, 2]], "agreed", [], id="not agreed"),
        pytest.param([[1], [1, 2]], "each", [[1], [1, 2]], id="each"),
        pytest.param([[4]], "majority", [[4]], id="one alone"),
    ],
)
def test_several_annotators_versions_become_one(versions, policy, expected):
    made, difference = combine(cleaned_versions(*versions), Annotators(policy))
    assert [[span.end for span in one.spans] for one in made] == expected
    assert bool(difference) == any(spans != versions[0] for spans in versions)


@pytest.mark.parametrize(
    ("versions", "spans", "unknown"),
    [
        pytest.param([["tower"], ["tower"]], ["tower"], [], id="they agree"),
        pytest.param([["tower"], []], [], ["tower"], id="one of two marks nothing"),
        pytest.param([["tower", "drive"], ["drive"]], ["drive"], ["tower"], id="one of two spans is shared"),
        pytest.param([["tower"], ["tower lift 3"]], [], ["tower", "tower lift 3"], id="other boundaries"),
        pytest.param([["tower"], ["tower"], []], ["tower"], [], id="two of three mark it"),
        pytest.param([["tower"], [], []], [], [], id="two of three mark nothing"),
        pytest.param(
            [["tower"], ["tower lift 3"], []], [], ["tower", "tower lift 3"], id="two of three mark something"
        ),
        pytest.param([["tower"], ["tower"], ["tower lift 3"]], ["tower"], [" lift 3"], id="what a third adds"),
        pytest.param([["tower"], ["tower"], [], []], [], ["tower"], id="two against two"),
    ],
)
def test_a_place_that_the_annotators_do_not_decide_is_unknown_and_not_without_an_entity(versions, spans, unknown):
    text = "tower lift 3 drive"

    def made(names):
        return [Span(text.index(name), text.index(name) + len(name), "A") for name in names]

    cleaned = [CleanVersion(version(by=name), made(names)) for name, names in zip("abcd", versions, strict=False)]
    [found], difference = combine(cleaned, Annotators.majority)
    assert [text[span.start : span.end] for span in found.spans] == spans
    assert [text[part.start : part.end] for part in found.unknown] == unknown
    assert ("stay unknown" in str(difference)) == bool(unknown)


@pytest.mark.parametrize("policy", [Annotators.majority, Annotators.one, Annotators.each])
def test_what_a_version_does_not_know_stays_unknown_outside_its_spans(policy):
    [found], _ = combine([CleanVersion(version(), [Span(4, 6, "A")], unknown=[Span(2, 8, "B")])], policy)
    assert found.unknown == [Span(2, 4, "B"), Span(6, 8, "B")]


def test_the_difference_names_the_people_and_whose_was_taken():
    _, difference = combine(cleaned_versions([1], [1, 2], [1]), Annotators.one)
    assert str(difference) == "3 versions (by a, b, c) differ in 1 span(s); taken: c"
