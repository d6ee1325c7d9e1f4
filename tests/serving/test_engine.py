"""The queue and what reads from it, with readers that are made of rules, so that their pace is known."""

import asyncio

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving.batches import Asked
from spacy_domain_ner.serving.crew import Crew
from spacy_domain_ner.serving.engine import AHEAD, Engine, QueueFullError
from spacy_domain_ner.serving.model import KnownModel
from spacy_domain_ner.serving.readers import DeadReaderError
from spacy_domain_ner.serving.settings import Settings


class Reader:
    """Stands for a reader: it waits until it may read, notes its batches, and dies of some texts."""

    def __init__(self, name: str = "a") -> None:
        self.model = KnownModel({"name": name, "version": "", "digest": ""}, True, {})
        self.batches: list[list[str]] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.is_closed = self.is_dead = self.is_worn = False
        self.waiting: list[Asked] = []
        self.task = None

    def attach(self, found, died):
        self.found, self.died = found, died

    def send(self, passages):
        self.waiting += passages
        if self.task is None or self.task.done():
            self.task = asyncio.ensure_future(self.read())

    async def read(self):
        while self.waiting:
            batch, self.waiting = self.waiting, []
            texts = [passage.text for passage in batch]
            self.batches.append(texts)
            await self.may_read.wait()
            if "deadly" in texts:
                self.die()
                return
            name = self.model.identity["name"]
            self.found(
                [
                    (number, ([Entity(text, name, 0, len(text))], {name: 1.0} if expects else {}))
                    for number, text, expects in batch
                ]
            )

    def die(self):
        """Die, whatever is read."""
        self.is_dead = True
        self.died()

    def close(self):
        assert not self.is_closed
        self.is_closed = True


@pytest.fixture
def model() -> Reader:
    return Reader()


def run(model: Reader, work, **settings):
    """Run an async function with an engine, which is closed after it."""
    engine = Engine([model], Settings(**{"max_wait_ms": 20, **settings}))

    async def main():
        try:
            return await asyncio.wait_for(work(engine), 30)
        finally:
            model.may_read.set()
            await engine.close()

    return asyncio.run(main())


async def taken(engine: Engine, waiting: int = 0) -> None:
    """Wait until what waits has been taken, but for so many passages."""
    while engine.waiting > waiting:
        await asyncio.sleep(0.01)


def test_a_reader_gets_what_comes_while_it_reads_up_to_some_passages_and_characters(model):
    async def work(engine):
        model.may_read.clear()
        jobs = [engine.submit([text]) for text in ("first", *"abc")]
        await taken(engine)
        jobs += [engine.submit(["x"] * 100), engine.submit(["y" * 20_000] * 3)]
        await taken(engine, 103 - 1)
        model.may_read.set()
        answers = await asyncio.gather(*(job.answer for job in jobs))
        assert [answer.found[0][0].name[:5] for answer in answers] == ["first", "a", "b", "c", "x", "yyyyy"]
        assert [len(answer.found) for answer in answers[4:]] == [100, 3]

    run(model, work, max_batch=10)
    assert model.batches[0] == ["first", *"abc"]
    assert 10 < max(map(len, model.batches)) <= 10 + AHEAD
    assert max(sum(map(len, batch)) for batch in model.batches) <= 25_000


def test_of_several_readers_the_one_with_the_least_to_do_gets_a_passage(model):
    other = Reader()

    async def work(engine):
        engine.add(other)
        model.may_read.clear()
        other.may_read.clear()
        jobs = [engine.submit([f"t{number}"]) for number in range(5)]
        await taken(engine)
        other.may_read.set()
        await jobs[1].answer
        jobs += [engine.submit(["later"]) for _ in range(2)]
        await taken(engine)
        model.may_read.set()
        await asyncio.gather(*(job.answer for job in jobs))

    run(model, work)
    assert (model.batches, other.batches) == ([["t0", "t2", "t4"]], [["t1", "t3"], ["later", "later"]])


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


def test_what_is_expected_comes_to_the_requests_that_asked_for_it(model):
    async def work(engine):
        jobs = [engine.submit(["a", "b"], number == 1) for number in range(3)]
        answers = [await job.answer for job in jobs]
        assert [answer.expected for answer in answers] == [[], [{"a": 1.0}] * 2, []]

    run(model, work)


def test_where_models_are_exchanged_a_request_is_read_by_one_of_them(model):
    new = Reader("b")

    async def work(engine):
        model.may_read.clear()
        whole = engine.submit(["w"])
        begun = engine.submit(["x"] * 100)
        await taken(engine, 71)
        engine.exchange([new])
        later = engine.submit(["y"])
        model.may_read.set()
        answers = [await job.answer for job in (whole, begun, later)]
        assert [answer.model for answer in answers] == [model.model, new.model, new.model]
        assert {entities[0].type for entities in answers[1].found} == {"b"}
        assert [len(answer.found) for answer in answers] == [1, 100, 1]
        assert engine.waiting == 0
        assert model.is_closed

    run(model, work, max_batch=30)


def test_what_a_reader_held_that_has_died_is_read_by_another_one_and_what_is_deadly_is_given_up(model):
    others = [Reader() for _ in range(2)]

    async def work(engine):
        died = []
        engine.died = lambda reader: (died.append(reader), engine.add(others[len(died) - 1]))
        jobs = [engine.submit([text]) for text in ("a", "deadly", "b")]
        assert [(await jobs[number].answer).found[0][0].name for number in (0, 2)] == ["a", "b"]
        with pytest.raises(DeadReaderError):
            await jobs[1].answer
        assert [reader.is_closed for reader in (model, *others)] == [True, True, False]
        assert (len(died), engine.waiting) == (2, 0)

    run(model, work)


def test_a_reader_that_dies_while_it_waits_is_replaced_and_another_model_goes_to_all(model):
    second, same, new = Reader(), Reader(), [Reader("b") for _ in range(3)]
    started = [[same], [new[0]], new[1:]]

    async def work(engine):
        engine.add(second)
        crew = Crew(engine, lambda count: started.pop(0), 2)
        assert (await engine.submit(["a"]).answer).model == model.model
        model.die()
        while engine.readers != [second, same]:
            await asyncio.sleep(0.01)
        second.die()
        while engine.readers != new[1:]:
            await asyncio.sleep(0.01)
        assert (await engine.submit(["a"]).answer).model == new[1].model
        assert crew is not None

    run(model, work)
    assert same.is_closed
    assert new[0].is_closed


def test_a_worn_reader_reads_until_another_one_takes_its_place(model):
    model.is_worn = True
    same, new = Reader(), Reader("b")
    started = [[same], [Reader("b")], [new]]

    async def work(engine):
        crew = Crew(engine, lambda count: started.pop(0), 1)
        assert (await engine.submit(["a"]).answer).model == model.model
        while engine.readers != [same]:
            await engine.submit(["b"]).answer
        assert (await engine.submit(["c"]).answer).model == model.model
        assert same.batches[-1] == ["c"]
        same.is_worn = True
        while engine.readers != [new]:
            await engine.submit(["d"]).answer
        assert (await engine.submit(["e"]).answer).model == new.model
        assert crew is not None

    run(model, work)
    assert [reader.is_closed for reader in (model, same)] == [True, True]
    assert not started


def test_a_worn_reader_stays_where_none_can_be_started(model):
    model.is_worn = True

    def start(count):
        raise UserError("The model is gone", "Put it back.")

    async def work(engine):
        crew = Crew(engine, start, 1)
        for _ in range(3):
            assert (await engine.submit(["a"]).answer).found[0][0].name == "a"
        assert crew is not None

    run(model, work)
    assert len(model.batches) == 3


def test_what_waits_at_the_end_is_read_and_nothing_is_taken_after_it(model):
    async def work(engine):
        model.may_read.clear()
        jobs = [engine.submit(["a"]) for _ in range(5)]
        asyncio.get_running_loop().call_later(0.1, model.may_read.set)
        await engine.close()
        assert [len((await job.answer).found) for job in jobs] == [1] * 5
        with pytest.raises(QueueFullError):
            engine.submit(["b"])

    run(model, work)
