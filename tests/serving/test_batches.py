"""The batches that are made of what waits, with a model that is made of rules and messages that come on cue."""

from collections import deque

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.batches import Asked, answer_messages
from spacy_domain_ner.serving.settings import Settings


class Served:
    """Stands for a model: what it finds in a text is the text."""

    is_worn = False

    def read(self, texts, expecting):
        return [(text, {"A": 1.0} if place in expecting else {}) for place, text in enumerate(texts)]

    def thresholds(self, *given):
        if given == (2,):
            raise UserError("`min_confidence` is 2", "It must be at most 1.")
        return given


def answers(messages, **settings) -> tuple[list, list]:
    """What is answered to messages, each list of which is there at once; and how long was waited for others."""
    coming, sent, waits = deque(map(deque, messages)), [], []

    def receive(seconds):
        if coming and not coming[0] and seconds != 0:
            # The next ones come only to who waits for them.
            coming.popleft()
            waits.append(seconds)
        if not coming:
            raise EOFError
        return coming[0].popleft() if coming[0] else None

    with pytest.raises(EOFError):
        answer_messages(Served(), Settings(**settings), receive, sent.append)
    return sent, waits


def read(*texts: str, expects: bool = False):
    return "read", [Asked(number, text, expects) for number, text in enumerate(texts)]


def sizes(sent) -> list[int]:
    return [len(answer) for what, answer, _ in sent if what == "read"]


def test_what_is_there_at_once_is_one_batch_and_each_passage_is_answered_by_its_number():
    sent, _ = answers([[read("a", "b"), read("c", expects=True)], [read("d")]])
    assert sent == [
        ("read", [(0, ("a", {})), (1, ("b", {})), (0, ("c", {"A": 1.0}))], False), ("read", [(0, ("d", {}))], False)
    ]  # fmt: skip


def test_a_batch_has_so_many_passages_and_characters_at_most():
    sent, _ = answers([[read(*"x" * 100)], [read(*["x" * 20_000] * 5)]], max_batch=30)
    assert sizes(sent) == [30, 30, 30, 10, 2, 2, 1]


def test_after_many_answers_half_as_many_passages_are_waited_for():
    first, few, more = [read(*"x" * 20)], [read(*"x" * 6)], [read(*"x" * 4)]
    sent, waits = answers([first, few, more, [read("x")], []], max_wait_ms=1000)
    assert sizes(sent) == [20, 10, 1]
    assert waits[1] == pytest.approx(1, abs=0.5)
    assert sizes(answers([first, few, more], max_wait_ms=0)[0]) == [20, 6, 4]


def test_questions_are_answered_between_batches():
    sent, _ = answers([[read("a"), ("thresholds", 0.5), ("thresholds", 2), ("nothing",)]])
    assert sent == [
        ("asked", (0.5,), None),
        ("asked", None, ("`min_confidence` is 2", "It must be at most 1.")),
        ("asked", None, ("The model failed: AttributeError", "")),
        ("read", [(0, ("a", {}))], False),
    ]
