"""The page about the break-even."""

import json

import pytest
from helpers.html_page import Page

from spacy_domain_ner.llm.break_even import Costs
from spacy_domain_ner.reports.break_even import write_break_even


@pytest.mark.parametrize(
    ("llm_dollars", "verdict", "has_crossing"),
    [
        pytest.param(10, "cheaper from about 1,000 documents on", True, id="in the picture"),
        pytest.param(0, "The LLM is cheaper, however many", False, id="never"),
        pytest.param(0.001, "cheaper from about 10,000,000 documents on", True, id="far away"),
    ],
)
def test_the_page_says_the_result_and_shows_it(tmp_path, llm_dollars, verdict, has_crossing):
    costs = Costs(10, 100, 36, seconds_per_document=0, llm_dollars=llm_dollars)
    output = tmp_path / "break-even.html"
    found = write_break_even(costs, output, metrics=tmp_path / "none", decision=tmp_path / "none")
    page = Page(output.read_text(encoding="utf8"))
    assert verdict in page.text
    assert "not measured" in page.text
    curves = [attributes["points"] for tag, attributes in page.tags if tag == "polyline"]
    assert len(curves) == 2
    places = [float(number) for curve in curves for pair in curve.split() for number in pair.split(",")]
    assert all(-0.1 <= number <= 1000 for number in places)
    assert any(attributes.get("class") == "crossing" for _, attributes in page.tags) == has_crossing
    # Nothing outside the page is referred to.
    assert not [tag for tag, attributes in page.tags if "src" in attributes or "href" in attributes]
    assert json.loads(output.with_suffix(".json").read_text())["documents"] == found.documents
