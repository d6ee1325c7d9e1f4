"""The script of the evaluation report, in a real browser: what a link to the errors shows."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.analysis import Predicted
from spacy_domain_ner.evaluation.assessment import Assessment, assess_predictions
from spacy_domain_ner.reports.evaluation import write_report
from spacy_domain_ner.reports.evaluation.contents import ERRORS_SHOWN

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]

HOSTILE = "</script><script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"


def assessment() -> Assessment:
    """3 mentions of A are missed, 2 taken for B, and 1 is too long; 60 of B are spurious, one in a hostile text."""
    passages, predicted = [], []

    def add(text: str, gold: list[Span], found: list[Span]) -> None:
        passages.append(Passage(text, gold, line=len(passages) + 1, file="eval.jsonl"))
        predicted.append(Predicted(found))

    span = Span(0, 6, "A")
    for number in range(3):
        add(f"Zürich🚀 missed {number}", [span], [])
    for number in range(2):
        add(f"Zürich is B {number}", [span], [Span(0, 6, "B")])
    add("Zürich east is longer", [span], [Span(0, 11, "A")])
    for number in range(59):
        add(f"nothing spurious {number}", [], [Span(0, 7, "B")])
    add(f"{HOSTILE} 🚀 here", [], [Span(len(HOSTILE) + 1, len(HOSTILE) + 2, "B")])
    return assess_predictions(passages, predicted, ["A", "B"], train=[])


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, assessment())
    return path


def opened(page: Path, query: dict[str, str] | None = None) -> str:
    """The page as it stands after its script has run."""
    url = page.as_uri() + ("#errors?" + urlencode(query) if query else "")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
        f"--user-data-dir={page.parent / 'profile'}", "--dump-dom", url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, encoding="utf8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(dom: str) -> str:
    return re.search(r'id="status"[^>]*>([^<]*)<', dom)[1]


def listed(dom: str) -> list[str]:
    """The texts of the listed errors."""
    (body,) = re.findall(r'<ol[^>]*id="list"[^>]*>(.*?)</ol>', dom, re.DOTALL) or re.findall(
        r'<ul[^>]*id="list"[^>]*>(.*?)</ul>', dom, re.DOTALL
    )
    return [re.sub("<[^>]+>", "", item) for item in re.findall(r"<li.*?</li>", body, re.DOTALL)]


def test_all_errors_are_there_and_the_first_are_shown(page):
    dom = opened(page)
    assert status(dom).startswith("66 errors")
    assert len(listed(dom)) == min(66, ERRORS_SHOWN)


@pytest.mark.parametrize(
    ("query", "count", "part"),
    [
        ({"type": "A"}, 6, "Zürich"),
        ({"kind": "boundary"}, 1, "too long"),
        ({"annotated": "A", "predicted": "B"}, 2, "predicted as B"),
        ({"annotated": "A", "predicted": ""}, 3, "missed"),
        ({"text": "SPURIOUS 7"}, 1, "spurious 7"),
        ({"type": "NO_SUCH"}, 0, ""),
    ],
)
def test_a_link_shows_the_errors_that_it_names(page, query, count, part):
    dom = opened(page, query)
    found = listed(dom)
    assert len(found) == count
    assert status(dom) == f"{count} of 66 errors"
    assert all(part in text for text in found)


def test_a_hostile_passage_is_text_and_its_mention_is_marked(page):
    dom = opened(page, {"text": "onerror"})
    assert "<title>run</title>" not in dom
    [text] = listed(dom)
    assert "&lt;img src=x onerror=" in text
    assert re.search(r'class="predicted[^"]*">🚀', dom)
