"""What a run will cost, before anything is sent; and what was spent so far."""

import json

import pytest
from helpers.llm_server import LLMServer, says

from spacy_domain_ner.corpus import Passage, Span, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.llm.costs import estimate_llm_cost
from spacy_domain_ner.llm.entities import EntityFinder
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.schema import read_schema

SCHEMA = "entity_types:\n  - name: INFRA\n    definition: A data store.\n"


@pytest.fixture
def estimated(tmp_path):
    """Estimate a run on passages; the folder has the schema, and the settings that are given."""

    def estimated(texts, settings="price: {input: 1, output: 2}", train=None, **options):
        (tmp_path / "entity_types.yml").write_text(SCHEMA, encoding="utf8")
        base = "base_url: https://llm.example/v1\nmodel: some\n"
        (tmp_path / "llm.yml").write_text(base + settings + "\n", encoding="utf8")
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (tmp_path / "passages.jsonl").write_text(lines, encoding="utf8")
        if train is not None:
            write_passages(tmp_path / "train.jsonl", train)
            train = tmp_path / "train.jsonl"
        return estimate_llm_cost(
            [tmp_path / "passages.jsonl"], tmp_path / "llm.yml", schema=tmp_path / "entity_types.yml", train=train,
            **options,
        )  # fmt: skip

    return estimated


def test_the_cost_is_that_of_all_passages_by_the_tokens_of_a_sample(estimated):
    few, many = estimated(["Redis is down"] * 10), estimated(["Redis is down"] * 1000, sample=10)
    assert many.dollars == pytest.approx(100 * few.dollars)
    assert few.dollars == pytest.approx((few.tokens_in + 2 * few.tokens_out) / 1e6, rel=0.01)
    assert (many.passages, many.sampled, many.requests) == (1000, 10, 1000)
    assert not few.is_exact


def test_a_passage_that_is_read_in_parts_costs_as_many_requests(estimated):
    assert estimated(["Redis is down. " * 1000]).requests > 3


def test_the_examples_of_the_prompts_are_counted_and_tell_how_long_answers_are(estimated):
    train = [Passage(f"Redis {number} is down", [Span(0, 5, "INFRA")]) for number in range(9)]
    plain, shown = estimated(["Redis is up"]), estimated(["Redis is up"], train=train)
    assert shown.tokens_in > plain.tokens_in
    assert shown.answers_from == "the answers to the examples"
    assert plain.answers_from.startswith("a guess")


@pytest.mark.parametrize(
    ("settings", "dollars", "said"),
    [
        pytest.param("", None, "nowhere", id="nobody knows"),
        pytest.param("budget: 0.000001\nprice: {input: 1, output: 2}", True, "the settings", id="over the budget"),
    ],
)
def test_where_the_price_is_from_and_what_it_means_is_said(estimated, settings, dollars, said):
    found = estimated(["Redis is down"], settings)
    assert said in found.price_from
    assert (found.dollars is None) == (dollars is None)
    assert found.passes_budget == (dollars is True)


def test_a_run_costs_about_what_was_said_and_the_ledger_tells_it_afterwards(tmp_path):
    pytest.importorskip("openai", reason="the llm extra is not installed")
    (tmp_path / "entity_types.yml").write_text(SCHEMA, encoding="utf8")
    texts = [f"Redis {number} is down" for number in range(30)]
    (tmp_path / "passages.txt").write_text("\n".join(texts), encoding="utf8")
    with LLMServer(lambda _: says({"entities": []}, usage=None)) as server:
        (tmp_path / "llm.yml").write_text(
            f"base_url: {server.url}\nmodel: scripted\nprice: {{input: 1, output: 2}}\n", encoding="utf8"
        )
        paths = [tmp_path / "passages.txt"], tmp_path / "llm.yml"
        before = estimate_llm_cost(*paths, schema=tmp_path / "entity_types.yml")
        with Client.open(tmp_path / "llm.yml") as client:
            prompts = EntityPrompts(read_schema(tmp_path / "entity_types.yml"), guide=client.settings.guide)
            list(EntityFinder(client, prompts)(texts))
            spent = client.spent
        after = estimate_llm_cost(*paths, schema=tmp_path / "entity_types.yml")
    assert before.spent == {}
    assert after.spent["extract"].requests == 30
    assert after.dollars_spent == pytest.approx(spent)
    assert after.answers_from == "30 answers in the ledger"
    # The server's frame around the messages counts, too.
    assert after.dollars == pytest.approx(spent, rel=0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"texts": []}, "no passage to count", id="nothing"),
        pytest.param({"texts": ["a"], "sample": 0}, "`sample` is 0", id="an empty sample"),
        pytest.param({"texts": ["a"], "types": ["X"]}, "has no type 'X'", id="an unknown type"),
    ],
)
def test_what_can_not_be_counted_is_said(estimated, options, said):
    with pytest.raises(UserError) as raised:
        estimated(**options)
    assert said in raised.value.what
