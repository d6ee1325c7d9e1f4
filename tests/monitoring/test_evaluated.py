"""The figures of the evaluation set: from metrics.json, and from what a package carries of it."""

import json

import pytest

from spacy_domain_ner import UserError
from spacy_domain_ner.deployment.package import _performance
from spacy_domain_ner.monitoring.evaluated import read_evaluated

SCORES = {
    "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 120,
    "intervals": {"precision": [0.86, 0.94], "recall": [0.75, 0.85], "f1": [0.81, 0.89]},
}  # fmt: skip
METRICS = {"micro": SCORES, "types": {"INFRA": SCORES, "TEAM": {**SCORES, "f1": None, "support": 0}}}


def write(path, values):
    path.write_text(json.dumps(values))
    return path


def test_a_package_carries_the_figures_of_metrics_with_their_intervals(tmp_path):
    metrics = read_evaluated(write(tmp_path / "metrics.json", METRICS))
    meta = {"performance": _performance(METRICS), "entity_types": {"INFRA": ""}}
    (tmp_path / "en_ops").mkdir()
    write(tmp_path / "en_ops/meta.json", meta)
    package = read_evaluated(tmp_path / "en_ops")
    assert (package.micro, package.types) == (metrics.micro, metrics.types)
    assert (metrics.micro["f1"].value, metrics.micro["f1"].low) == (0.85, 0.81)
    assert "f1" not in metrics.types["TEAM"]


def test_without_intervals_the_number_of_mentions_gives_them(tmp_path):
    bare = {key: value for key, value in SCORES.items() if key != "intervals"}
    found = read_evaluated(write(tmp_path / "m.json", {"micro": bare, "types": {}})).micro["f1"]
    assert (found.low, found.high) == (pytest.approx(0.786, abs=0.001), pytest.approx(0.914, abs=0.001))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([], "does not hold the scores"),
        ({"micro": {}}, "does not hold the scores"),
        ({"performance": {"ents_f": 0.9}}, "has the scores of the dev set"),
    ],
)
def test_what_has_no_such_figures_is_named(tmp_path, values, what):
    with pytest.raises(UserError, match=what):
        read_evaluated(write(tmp_path / "m.json", values))
    with pytest.raises(UserError, match="There is no file"):
        read_evaluated(tmp_path / "none.json")
