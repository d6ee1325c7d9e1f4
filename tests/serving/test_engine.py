"""The queue and the model's thread, with a model that is made of rules, so that its pace is known."""

import asyncio
import threading

import pytest

from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving.engine import Engine, QueueFullError
from spacy_domain_ner.serving.settings import Settings


class Model:
    """Stands for a model: it waits until it may read, notes its batches, and fails on some texts."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.batches: list[list[str]] = []
        self.may_read = threading.Event()
        self.may_read.set()
        self.extractor = self

    def __call__(self, texts):
        self.may_read.wait(30)
        self.batches.append(texts)
        for text in texts:
            if text == "bad":
                raise ValueError("secret text")
            yield [Entity(text, self.name, 0, len(text))]


@pytest.fixture
def model() -> Model:
    return Model()


def run(model: Model, work, **settings):
    """Run an async function with an engine, which is closed after it."""
    engine = Engine(model, Settings(**{"max_wait_ms": 20, **settings}))

    async def main():
        try:
            return await asyncio.wait_for(work(engine), 30)
        finally:
            model.may_read.set()
            await asyncio.to_thread(engine.close)

    return asyncio.run(main())


async def taken(engine: Engine, waiting: int = 0) -> None:
    """Wait until the thread has taken what waits, but for so many passages."""
    while engine.waiting > waiting:
        await asyncio.sleep(0.01)


def test_requests_that_come_together_are_read_in_one_batch(model):
    async def work(engine):
        model.may_read.clear()
        first = engine.submit(["first"])
        await taken(engine)
        jobs = [engine.submit([f"t{number}"]) for number in range(20)]
        model.may_read.set()
        answers = await asyncio.gather(first.answer, *(job.answer for job in jobs))
        assert [answer.found[0][0].name for answer in answers] == ["first", *(f"t{number}" for number in range(20))]

    run(model, work)
    assert [len(batch) for batch in model.batches] == [1, 20]


def test_a_batch_has_so_many_passages_and_characters_at_most(model):
    async def work(engine):
        await engine.submit([f"t{number}" for number in range(100)]).answer
        await engine.submit(["x" * 20_000] * 5).answer

    run(model, work, max_batch=30)
    assert [len(batch) for batch in model.batches] == [30, 30, 30, 10, 2, 2, 1]


def test_a_large_request_does_not_make_a_small_one_wait_for_its_end(model):
    async def work(engine):
        model.may_read.clear()
        large = engine.submit([f"t{number}" for number in range(1000)])
        await taken(engine, 999)
        small = engine.submit(["small"])
        model.may_read.set()
        await small.answer
        assert [entities[0].name for entities in (await large.answer).found] == [f"t{number}" for number in range(1000)]

    run(model, work)
    assert any("small" in batch for batch in model.batches[:2])


def test_what_finds_no_room_is_refused_and_what_waits_is_not(model):
    async def work(engine):
        model.may_read.clear()
        jobs = [engine.submit(["a"] * 5)]
        await taken(engine)
        jobs += [engine.submit(["b"] * 5), engine.submit(["c"] * 5)]
        with pytest.raises(QueueFullError) as full:
            engine.submit(["d"])
        assert full.value.seconds >= 0
        model.may_read.set()
        assert [len((await job.answer).found) for job in jobs] == [5, 5, 5]
        assert engine.waiting == 0

    run(model, work, queue=10, max_passages=5, max_batch=5)


def test_what_nobody_waits_for_is_not_read(model):
    async def work(engine):
        model.may_read.clear()
        first = engine.submit(["first"])
        await taken(engine)
        gone, last = engine.submit(["gone"] * 3), engine.submit(["last"])
        gone.give_up(ConnectionError())
        model.may_read.set()
        await asyncio.gather(first.answer, last.answer)
        with pytest.raises(ConnectionError):
            await gone.answer
        assert engine.waiting == 0

    run(model, work)
    assert model.batches == [["first"], ["last"]]


def test_a_text_on_which_the_model_fails_does_not_harm_the_others(model):
    async def work(engine):
        answers = await asyncio.gather(*(engine.submit([text, "ok"]).answer for text in ("a", "bad", "b")))
        assert [answer.found[1][0].name for answer in answers] == ["ok"] * 3
        assert answers[1].found[0] == "the model failed on this passage (ValueError)"
        assert answers[2].found[0][0].name == "b"

    run(model, work)


def test_models_are_exchanged_between_two_batches_and_a_request_is_read_by_one_of_them(model):
    new = Model("b")

    async def work(engine):
        model.may_read.clear()
        begun = engine.submit(["x"] * 100)
        await taken(engine, 70)
        engine.exchange(new)
        later = engine.submit(["y"])
        model.may_read.set()
        answers = [await begun.answer, await later.answer]
        assert [answer.model for answer in answers] == [model, new]
        assert {entities[0].type for entities in answers[0].found} == {"a"}
        assert answers[1].found[0][0].type == "b"

    run(model, work, max_batch=30)


def test_what_waits_at_the_end_is_read_and_nothing_is_taken_after_it(model):
    async def work(engine):
        model.may_read.clear()
        jobs = [engine.submit(["a"]) for _ in range(5)]
        threading.Timer(0.1, model.may_read.set).start()
        await asyncio.to_thread(engine.close)
        assert [len((await job.answer).found) for job in jobs] == [1] * 5
        with pytest.raises(QueueFullError):
            engine.submit(["b"])

    run(model, work)
