"""A training says how far it is."""

import io

import pytest
import spacy
from spacy.language import Language

from spacy_domain_ner.training import progress


def pipeline(**values: int) -> Language:
    nlp = spacy.blank("en")
    nlp.config["training"].update({"max_epochs": 4, "patience": 40, "max_steps": 0, **values})
    return nlp


def lines_of(
    scores: list[float], monkeypatch: pytest.MonkeyPatch, *, per_epoch: int, every: int = 10, **values: int
) -> list[str]:
    """The lines of a training with an evaluation of these scores after every so many steps of a second each."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(progress, "monotonic", lambda: 0)
    out = io.StringIO()
    log_step, stop = progress.create_progress(per_epoch)(pipeline(**values), out, io.StringIO())
    for step in range(1, len(scores) * every + 1):
        now = next(seconds) + 1
        monkeypatch.setattr(progress, "monotonic", lambda now=now: now)
        score = scores[step // every - 1]
        other = {"ents_f": score, "ents_p": score, "ents_r": None}
        epoch = (step - 1) // (per_epoch or every)
        log_step(None if step % every else {"epoch": epoch, "score": score, "other_scores": other})
    stop()
    return out.getvalue().splitlines()


def test_a_line_per_evaluation_has_the_epoch_the_scores_the_best_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lines_of([0.5, 0.75, 0.7], monkeypatch, per_epoch=20) == [
        "Epoch 0.5 of 4, F1 0.500, precision 0.500, best 0.500, at most 1:10 left",
        "Epoch 1.0 of 4, F1 0.750, precision 0.750, best 0.750, at most 1:00 left",
        "Epoch 1.5 of 4, F1 0.700, precision 0.700, best 0.750 in epoch 1.0, at most 0:50 left, "
        "0:30 if nothing gets better",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # `spacy train` does not count the steps of an epoch.
        ({"per_epoch": 0}, "Epoch 0 of 4, F1 0.500, precision 0.500, best 0.500"),
        ({"per_epoch": 0, "max_epochs": 0}, "Epoch 0, F1 0.500, precision 0.500, best 0.500"),
        ({"per_epoch": 0, "max_steps": 50}, "Epoch 0 of 4, F1 0.500, precision 0.500, best 0.500, at most 0:40 left"),
        ({"per_epoch": 2000}, "Epoch 0.0 of 4, F1 0.500, precision 0.500, best 0.500, at most 2:13:10 left"),
    ],
    ids=str,
)
def test_what_nobody_knows_is_left_out(
    settings: dict[str, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines_of([0.5], monkeypatch, **settings) == [expected]


def test_a_terminal_gets_a_bar_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    out, terminal = io.StringIO(), Terminal()
    log_step, stop = progress.create_progress(1)(pipeline(), out, terminal)
    log_step({"epoch": 0, "score": 0.5, "other_scores": {"ents_f": 0.5}})
    stop()
    assert out.getvalue().startswith("Epoch 1.0 of 4, F1 0.500")
    assert "Epoch 1.0 of 4 " in terminal.getvalue()
    assert "\x1b[?25h" in terminal.getvalue(), "the cursor stays hidden"
