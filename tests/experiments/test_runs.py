"""A command of many trainings says how far it is."""

from pathlib import Path

import pytest

from spacy_domain_ner.experiments.runs import RunFolder, TrainingRun, run_once


@pytest.mark.parametrize(("left", "rest"), [(3, ", about 1:33 left"), (0, "")])
def test_a_run_says_what_is_left_if_that_is_known(left: float, rest: str, tmp_path: Path) -> None:
    run = TrainingRun(seed=0, inputs={}, training_seconds=31.0, environment={}, micro={"f1": 0.5}, types={}, counts={})
    lines: list[str] = []
    for _ in range(2):
        run_once(TrainingRun, {}, lambda _: run, RunFolder(tmp_path, "one"), "Run 1 of 4", lines.append, left)
    assert lines[:2] == ["Run 1 of 4", f"Run 1 of 4: F1 0.500, 31 s of training{rest}"]
    assert "measured before" in lines[2]
