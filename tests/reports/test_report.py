"""The evaluation report, of small assessments whose figures are known."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.hostile import HOSTILE
from helpers.html_page import Page
from markdown_it import MarkdownIt

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import Predicted
from spacy_domain_ner.evaluation.assessment import Assessment, assess_predictions
from spacy_domain_ner.evaluation.forecasts import Forecast, LearningCurve, Point
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.label_issues import Inconsistency, Suspect
from spacy_domain_ner.rendering import escape_markdown, to_code
from spacy_domain_ner.reports.evaluation import write_report
from spacy_domain_ner.reports.evaluation.contents import ERRORS_SHOWN, LISTED
from spacy_domain_ner.reports.snippets import CONTEXT, snippet


def make(earlier=(), **cases: int) -> Assessment:
    """An assessment of this many passages with one mention each: `A_found=40, A_missed=3, B_as_A=2`."""
    passages, predicted, labels = [], [], []
    for case, count in cases.items():
        label, _, outcome = case.partition("_")
        labels.append(label)
        for number in range(count):
            gold = Span(4, 8, label)
            spans = {
                "found": [gold],
                "missed": [],
                "spurious": [gold],
                "longer": [Span(4, 11, label)],
            }.get(outcome, [Span(4, 8, outcome.removeprefix("as_"))])
            text = f"The name is {case} number {number}."
            passages.append(
                Passage(text, [] if outcome == "spurious" else [gold], file="/home/me/eval.jsonl", line=number)
            )
            predicted.append(Predicted(spans))
    train = [Passage("The name", [Span(4, 8, label)]) for label in "AB"] * 300
    return assess_predictions(passages, predicted, dict.fromkeys(labels), train=train, earlier=earlier)


def write(folder: Path, assessment: Assessment, **settings) -> tuple[str, str]:
    """The page and its short form."""
    write_report(folder / "report.html", assessment, **settings)
    return tuple((folder / f"report{suffix}").read_text(encoding="utf8") for suffix in (".html", ".md"))


def everything(text: str) -> Assessment:
    """An assessment with all that a report can show, and a text at every place that can have one."""
    other = f"other {text}"
    whole = f"before {text} after"
    gold = Span(7, 7 + len(text), text)
    passages = [
        Passage(whole, [gold], {"source": text, text: f"{text} {number % 2}"}, file=f"{text}.jsonl", line=number + 1)
        for number in range(20)
    ]
    outcomes = [[], [Span(7, 7 + len(text), other)], [Span(3, 9 + len(text), text)], [gold]]
    predicted = [Predicted(outcomes[number % 4]) for number in range(20)]
    earlier = [
        Passage(passage.text, passage.spans[: number % 2], passage.meta) for number, passage in enumerate(passages)
    ]
    points = [Point(count, {text: count, other: count}, {text: 0.5, other: 0.4}, 0.45) for count in (10, 20)]
    return assess_predictions(
        passages,
        predicted,
        [text, other],
        train=passages[:1],
        earlier=earlier,
        curve=LearningCurve(points, {text: Forecast(20, 0.5, (0.6, 0.5, 0.7), 30, (20, None), f"more of {text}")}),
        suspects=[
            Suspect(passages[0], gold, None, 0.9),
            Suspect(passages[0], gold, Span(7, 9, other), 0.8),
            Suspect(passages[0], None, Span(7, 9, other), 0.7),
        ],
        inconsistencies=[Inconsistency(text, {text: 3, "": 1}, {text: [(passages[0], 7)], "": [(passages[1], 7)]})],
    )


def data(html: str) -> dict:
    """What the page's script reads."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(found)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ({"A_found": 40, "B_found": 40}, "All 2 types are ready for production."),
        ({"A_found": 40, "B_missed": 40}, "1 of 2 types is ready for production; B needs work first."),
        (
            {"A_found": 40, "B_missed": 20, "C_missed": 30, "D_found": 30},
            "2 of 4 types are ready for production; C and B need work first.",
        ),
        ({"A_missed": 40, "B_missed": 40}, "None of 2 types is ready for production."),
        (
            {"A_missed": 40, "B_found": 3},
            "None of 2 types is ready for production; B has too few mentions to judge by.",
        ),
        (
            {"A_found": 40, **{f"{name}_missed": 20 for name in "BCDE"}},
            "1 of 5 types is ready for production; 4 others need work first.",
        ),
        ({"A_found": 2, "B_found": 3}, "No type has enough mentions to judge by."),
        ({"A_found": 2}, "A has too few mentions to judge by."),
        ({"A_found": 40}, "A is ready for production."),
        ({"A_missed": 40}, "A is not ready for production yet."),
        ({}, "There is no entity type to judge."),
    ],
)
def test_one_sentence_says_how_many_types_are_ready(tmp_path, cases, expected):
    html, short = write(tmp_path, make(**cases))
    assert f'<p class="verdict">{expected}</p>' in html
    assert short.startswith(f"**{expected}**\n")


def test_the_first_thing_to_do_leads_to_its_errors(tmp_path):
    html, short = write(tmp_path, make(A_found=40, B_found=30, B_as_A=20, B_missed=5, C_missed=12))
    start = re.search(r'<p class="start">(.*?)</p>', html)[1]
    assert start.startswith("<strong>Start with B:</strong> make the guide clearer between B and A")
    assert '<a href="#errors" data-filter="type=B&amp;type=A">20 errors</a>' in start
    assert html.index('<span class="type t1">B</span>') < html.index('<span class="type t0">A</span>')
    assert '<li class="first"><b>Label 200 more examples</b>: training has 0' in html
    assert 'data-filter="type=C&amp;kind=missed">12 errors</a>' in html
    assert "- **B**\n  1. Make the guide clearer between B and A" in short


def test_the_page_stands_alone_and_its_policy_allows_its_script_only(tmp_path):
    html, _ = write(tmp_path, everything("NAME"), title="NAME", colors={"NAME": "#123456"})
    page = Page(html)
    assert page.open == []
    assert {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "base", "form"} == {"form"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
        assert attributes.get("href", "#").startswith("#")
    # Every link within the page leads somewhere, and no name is given twice.
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"} <= set(names)
    assert {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes} <= set(
        names
    )
    without_data = re.sub(r'<script type="application/json".*?</script>', "", html, flags=re.DOTALL)
    assert not re.search(r"https?:|//|@import|url\(", without_data)
    (policy,) = re.findall(r'"Content-Security-Policy" content="(.*?)"', html)
    assert policy.startswith("default-src 'none'; ")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf8")).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    # One heading of the first rank, and none that skips a rank.
    ranks = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert ranks.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(ranks))
    assert ".t0 { --color: #123456; --on: #FFFFFF; }" in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_passage_or_a_label_holds_breaks_the_page_or_the_short_form(tmp_path, text):
    plain_html, plain_short = write(tmp_path, everything("NAME"), title="NAME")
    html, short = write(tmp_path, everything(text), title=text, colors={text: "red;}</style><script>1</script>"})
    page, plain = Page(html), Page(plain_html)
    assert page.open == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.text.count(text) >= 50
    # What the script reads is data whatever it holds.
    raw = html[html.index('id="data">') :].partition("</script>")[0].partition(">")[2]
    assert not re.search("[<>&\u2028\u2029]", raw)
    found = data(html)
    assert [found["labels"][0], found["passages"][0][0]] == [text, f"before {text} after"]
    assert "red;" not in html

    def render(markdown: str) -> Page:
        return Page(MarkdownIt("commonmark").enable("table").render(markdown))

    shown, expected = render(short), render(plain_short)
    assert [tag for tag, _ in shown.tags] == [tag for tag, _ in expected.tags]
    assert shown.text.count(" ".join(text.split())) >= 10


def test_all_figures_are_there(tmp_path):
    assessment = everything("NAME")
    html, short = write(tmp_path, assessment)
    page = Page(html)
    for result in (assessment.micro, assessment.types["NAME"]):
        for found in (result.precision, result.recall, result.f1):
            assert f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})" in page.text
    for score in assessment.micro.schemes.values():
        assert f"{score.f1:.3f}" in page.text
    for values in assessment.groups.values():
        for value, (_, score) in values.items():
            assert value in page.text
            assert f"{score.f1:.3f}" in page.text
    assert html.count('class="gate"') == 2 + 2 * 3
    assert html.count('class="bar"') == 1 + 1, "of a type without a mention there is nothing to draw"
    difference = assessment.progress.micro
    assert f"{100 * difference.value:+.1f}".replace("-", "−") in page.text
    assert "More of NAME." in page.text
    assert "confidence 90 %" in page.text
    assert f"| {assessment.micro.f1.value:.3f} (" in short
    assert "Points per hour" in page.text
    assert "The next 100 passages at random" in short
    assert short.count("\n- ") == 2 + 1 + 10
    assert "10 of 15 errors:" in short


def test_the_matrix_has_each_pair_and_what_is_wrong_is_linked(tmp_path):
    html, _ = write(tmp_path, make(A_found=40, A_longer=3, A_as_B=4, B_found=30, B_missed=5, B_spurious=6))
    matrix = html[html.index('class="kept matrix') :].partition("</table>")[0]
    cells = [re.sub("<.*?>", " ", cell).split() for cell in re.findall(r"<td.*?</td>", matrix, re.DOTALL)]
    assert cells == [["43", "3", "other", "ends"], ["4"], ["0"], ["0"], ["30"], ["5"], ["0"], ["6"], []]
    assert re.findall(r'data-filter="(.*?)"', matrix) == [
        "annotated=A&amp;predicted=A", "annotated=A&amp;predicted=B", "annotated=B&amp;predicted=",
        "annotated=&amp;predicted=B",
    ]  # fmt: skip


def test_the_script_has_each_passage_once_and_counts_as_browsers_do(tmp_path):
    passage = Passage("🚀 Ada and Bob", [Span(2, 5, "A"), Span(10, 13, "A")], file="/home/me/eval.jsonl", line=7)
    html, _ = write(tmp_path, assess_predictions([passage], [Predicted([Span(2, 9, "B")])], ["A", "B"]))
    found = data(html)
    assert found["passages"] == [["🚀 Ada and Bob", "eval.jsonl:7"]]
    kinds = [kind for kind, _ in found["kinds"]]
    assert [[kinds[error[0]], *error[1:4]] for error in found["errors"]] == [
        ["type and boundary", 0, [3, 6, 0], [3, 10, 1]],
        ["missed", 0, [11, 14, 0], 0],
    ]
    assert "/home/me" not in html


def test_the_first_errors_stand_in_the_page_and_the_rest_in_the_data(tmp_path):
    assessment = make(A_missed=ERRORS_SHOWN + 30)
    html, _ = write(tmp_path, assessment)
    assert html.count('<li class="error">') == ERRORS_SHOWN
    assert len(data(html)["errors"]) == ERRORS_SHOWN + 30
    page = Page(html)
    for error in assessment.errors[:ERRORS_SHOWN]:
        before, after = assessment.passages[error.number].text.split("name")
        assert f"{before}nameannotated\u00a0A{after}" in page.text


def test_long_lists_are_cut_and_the_rest_is_counted(tmp_path):
    assessment = make(A_missed=10)
    suspects = [Suspect(passage, passage.spans[0], None, 0.9) for passage in assessment.passages * 7]
    html, _ = write(tmp_path, replace(assessment, suspects=suspects))
    assert html.count("models find nothing") == LISTED
    assert f"{70 - LISTED} more are not listed." in html


@pytest.mark.parametrize(
    "assessment", [make(), make(A_found=40), assess_predictions([], [], ["A"]), make(A_spurious=40)]
)
def test_a_page_is_written_where_there_is_little_to_show(tmp_path, assessment):
    html, short = write(tmp_path, replace(assessment, gates=Gates(0, 0), curve=LearningCurve([], {})))
    assert Page(html).open == []
    assert not re.search(r"\bnan\b", Page(html).text + short)


def test_a_change_is_called_progress_only_where_it_is_more_than_chance(tmp_path):
    cases = {"A_found": 40, "A_missed": 10}
    today = make(**cases)
    same = [Passage(passage.text, spans) for passage, spans in zip(today.passages, today.predictions, strict=True)]
    worse = [Passage(passage.text, []) for passage in same[:30]] + same[30:]
    better = [Passage(passage.text, passage.spans) for passage in today.passages]
    for earlier, expected in [
        (
            same,
            "F1 over all types changed by +0.0 (+0.0 to +0.0) points on 50 passages that both runs",
        ),
        (worse, "F1 over all types rose by 5"),
        (better, "F1 over all types fell by 1"),
    ]:
        html, short = write(tmp_path, make(earlier, **cases))
        assert expected in html
        assert expected in short
    assert "10 mentions are missed now" in html


def test_the_short_form_says_once_that_there_are_too_few_mentions(tmp_path):
    _, short = write(tmp_path, make(A_found=40, B_found=3))
    assert "| 3 | too few mentions to judge |" in short


def test_the_report_is_a_page(tmp_path):
    with pytest.raises(UserError, match=r"report\.md") as raised:
        write_report(tmp_path / "report.md", make(A_found=40))
    assert "report.html" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ((4, 8), None, ["The ", "[name", "]", " is"]),
        (None, (4, 8), ["The ", "<name", ">", " is"]),
        ((4, 8), (4, 8), ["The ", "<[name", "]>", " is"]),
        ((4, 8), (0, 8), ["<The ", "[name", "]>", " is"]),
        ((0, 8), (4, 11), ["[The ", "<name", "]", " is", ">"]),
        ((0, 3), (4, 8), ["[The", "] ", "<name", "> is"]),
    ],
)
def test_two_spans_are_marked_whatever_they_share(gold, predicted, expected):
    spans = [Span(*ends, "A") if ends else None for ends in (gold, predicted)]
    text = ""
    for piece in snippet("The name is", *spans).pieces:
        opened = "<" if piece.predicted_begins else ""
        opened += "[" if piece.annotated and piece.annotated.start == len(re.sub(r"[][<>]", "", text)) else ""
        text += opened + piece.text + ("]" if piece.annotated_ends else "") + (">" if piece.predicted_ends else "")
    assert text == "".join(expected)


def test_a_long_passage_is_cut_between_words_around_the_spans():
    text = "word " * 100 + "NAME" + " word" * 100
    found = snippet(text, Span(500, 504, "A"), None)
    assert (found.before, found.after) == (True, True)
    shown = "".join(piece.text for piece in found.pieces)
    assert len(shown) <= 2 * CONTEXT + 4
    assert set(shown.split()) == {"word", "NAME"}
    whole = snippet("a" * 20 + "NAME", Span(20, 24, "A"), None)
    assert (whole.before, whole.after) == (False, False)
    unbroken = snippet("x" * 9999, Span(5000, 5010, "A"), None)
    assert len("".join(piece.text for piece in unbroken.pieces)) == 2 * CONTEXT + 10


def test_markdown_mentions_nobody():
    assert escape_markdown("ask @dora, not dora@home") == "ask @<!-- -->dora, not dora@home"
    assert to_code("a ``b`` @dora") == "```a ``b`` @dora```"
    assert to_code("`") == "`` ` ``"


def confident(count: int) -> Assessment:
    """This many predictions; those below a confidence of 0.5 are wrong."""
    span = Span(0, 4, "A")
    shares = [(number + 0.5) / count for number in range(count)]
    passages = [Passage("Name is here", [span] if share > 0.5 else []) for share in shares]
    return assess_predictions(passages, [Predicted([span], confidences={span: share}) for share in shares], ["A"])


def test_confidence_is_shown_and_stands_in_the_metrics(tmp_path):
    assessment = confident(100)
    html, _ = write(tmp_path, assessment)
    text = " ".join(re.sub("<[^>]+>", " ", html.partition('id="confidence"')[2]).split())
    # Ten bins, each as far from its precision, 0 or 1, as its middle.
    assert "25.0 points apart" in text
    assert re.search(r"perfectly calibrated model would be about \d+\.\d off by chance", text)
    assert re.search(r"The surest 50 % \(confidence 0\.5[01] and above\): 100 % are right\.", text)
    assert re.search(r"All \(confidence 0\.0[01] and above\): 50 % are right\.", text)
    figures = assessment.to_dict()["confidence"]
    assert figures["expected_calibration_error"] == pytest.approx(0.25)
    # Ten in each bin: about 0.8 times the root of 10 p (1 - p), of 10.
    assert 0.05 < figures["chance_calibration_error"] < 0.12
    assert [one["entities"] for one in figures["bins"]] == [10] * 10
    assert figures["coverage"][-1] == {"covered": 1.0, "confidence": 0.005, "precision": 0.5}


def test_a_model_without_confidence_has_no_such_section(tmp_path):
    html, _ = write(tmp_path, make(A_found=20))
    assert 'id="confidence"' not in html
    assert make(A_found=20).to_dict()["confidence"] is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_predictions_make_a_chart_as_well(tmp_path, count):
    html, _ = write(tmp_path, confident(count))
    assert 'id="confidence"' in html
    assert "nan" not in html.partition('id="confidence"')[2].partition("</section>")[0].lower()
