"""Choosing what to label next from a pool."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.memorized import memorized
from spacy.language import Language

from spacy_domain_ner.annotation import pool as pool_module
from spacy_domain_ner.annotation.candidates import Best, Candidate, key_of
from spacy_domain_ner.annotation.junk import why_junk
from spacy_domain_ner.annotation.near_duplicates import NearDuplicates
from spacy_domain_ner.annotation.selection import NO_ENTITY_TOO, select_passages
from spacy_domain_ner.annotation.type_weights import type_weights
from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.confidence import doubts as doubts_module
from spacy_domain_ner.corpus import Passage, Span, write_passages
from spacy_domain_ner.corpus.split import split
from spacy_domain_ner.errors import UserError

VERBS = ("restarts", "stops", "calls", "reads", "needs", "blocks")
NAMES = [f"{first}-{last}" for first in ("order", "stock", "mail", "risk", "tax") for last in ("api", "db", "job")]


def texts(count: int) -> list[str]:
    """Different passages about names, none of them nearly the same as another."""
    generator = random.Random(0)
    nouns = [
        f"{a}{b}" for a in ("ba", "ko", "lu", "mi", "pe", "ra") for b in ("den", "for", "lin", "mur", "sto", "ver")
    ]
    return [
        f"{generator.choice(NAMES)} {generator.choice(VERBS)} the {' '.join(generator.sample(nouns, 6))} at night"
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def nlp(make_passages) -> Language:
    return memorized(FACTORY, make_passages())


@pytest.fixture
def pool(tmp_path) -> Path:
    path = tmp_path / "pool.txt"
    path.write_text("\n".join(texts(120)) + "\n")
    return path


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_chosen_passages_say_why_and_are_for_training_and_random_ones_are_blind(nlp, pool, tmp_path):
    found = select_passages([pool], tmp_path / "next.jsonl", model=nlp, size=20)
    written = rows(tmp_path / "next.jsonl")
    assert len(written) == len({row["text"] for row in written}) == 20
    at_random = [row for row in written if row.get("blind")]
    assert len(at_random) == 2 == sum(one.is_random for one in found.chosen)
    for row in written:
        assert row["meta"]["source"].startswith("pool.txt:")
        assert not {"answer", "spans"} & {*row}
        if row in at_random:
            assert not {"selected", "training_only"} & {*row["meta"]}
            assert row["meta"]["held_out_only"] is True
        else:
            assert row["meta"]["training_only"] is True
            assert "held_out_only" not in row["meta"]
            assert " unsure " in row["meta"]["selected"] or " nearly sure " in row["meta"]["selected"]


def test_those_at_random_are_spread_evenly(nlp, pool):
    found = select_passages([pool], model=nlp, size=30)
    assert [number for number, one in enumerate(found.chosen) if one.is_random] == [5, 15, 25]
    scores = [one.score for one in found.chosen if not one.is_random]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("with_model", [True, False])
def test_the_choice_does_not_depend_on_the_order_of_the_pool(nlp, tmp_path, with_model, monkeypatch):
    # So few that candidates are put out.
    monkeypatch.setattr(pool_module, "FEWEST_CANDIDATES", 20)
    monkeypatch.setattr(pool_module, "CANDIDATES", 2)
    lines = texts(300)
    records = [json.dumps({"text": text, "id": number}) + "\n" for number, text in enumerate([*lines, *lines[:50]])]
    chosen = []
    for seed in range(3):
        random.Random(seed).shuffle(records)
        (tmp_path / "pool.jsonl").write_text("".join(records))
        found = select_passages([tmp_path / "pool.jsonl"], model=nlp if with_model else None, size=10)
        chosen.append([(one.passage.text, one.passage.extra["id"], one.reason) for one in found.chosen])
    assert len(chosen[0]) == 10
    assert chosen[0] == chosen[1] == chosen[2]


def test_the_choice_is_the_same_with_several_processes(nlp, tmp_path, monkeypatch):
    monkeypatch.setattr(nlp, "batch_size", 16)
    nlp.to_disk(tmp_path / "model")
    (tmp_path / "pool.txt").write_text("\n".join(texts(120)) + "\n")
    outputs = []
    for workers in (1, 2):
        output = tmp_path / f"{workers}.jsonl"
        select_passages([tmp_path / "pool.txt"], output, model=tmp_path / "model", size=20, workers=workers)
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(("others", "share", "at_random"), [(5, 0.1, 1), (12, 0.1, 1), (14, 0.1, 2), (5, 1, 50)])
def test_the_random_share_is_one_of_what_is_chosen_where_the_pool_has_little(nlp, tmp_path, others, share, at_random):
    # Passages of sources that are held out are drawn at random only.
    held_out = [Passage(f"Page {number} of another day", meta={"source": f"page {number}"}) for number in range(200)]
    write_passages(tmp_path / "eval.jsonl", held_out[others:])
    pool = [Passage(text, meta={"source": f"page {number}"}) for number, text in enumerate(texts(200))]
    write_passages(tmp_path / "pool.jsonl", pool)
    found = select_passages(
        [tmp_path / "pool.jsonl"], model=nlp, size=50, random_share=share, held_out=[tmp_path / "eval.jsonl"]
    )
    assert sum(one.is_random for one in found.chosen) == at_random
    assert any("share" in note for note in found.notes) is (at_random < 50 * share)


@pytest.mark.parametrize(("types", "targeted"), [((), 18), (["SERVICE"], 0)])
def test_passages_in_which_the_model_surely_finds_nothing_are_added_where_there_are_no_others(
    nlp, pool, tmp_path, monkeypatch, types, targeted
):
    for least in ("DOUBTFUL", "LIKELY"):
        monkeypatch.setattr(doubts_module, least, 99.0)
    found = select_passages([pool], tmp_path / "next.jsonl", model=nlp, size=20, types=types)
    assert [one.reason for one in found.chosen if one.reason] == [NO_ENTITY_TOO] * targeted
    assert sum(one.is_random for one in found.chosen) == 2
    assert any(f"sure that {targeted} " in note for note in found.notes) is (targeted > 0)
    assert sum(bool(row.get("meta", {}).get("training_only")) for row in rows(tmp_path / "next.jsonl")) == targeted
    # Those at random have none, either.
    assert found.left_out[pool_module.NO_ENTITY] == found.read - len(found.chosen)


@pytest.mark.parametrize("least", [None, 99.0])
def test_all_of_a_small_pool_can_be_chosen_and_what_is_left_out_is_counted_once(nlp, tmp_path, monkeypatch, least):
    # Several passages have the same leading word; or the model surely finds nothing in any of them.
    monkeypatch.setattr(pool_module, "PER_LEAD", 1)
    for name in ("DOUBTFUL", "LIKELY") if least else ():
        monkeypatch.setattr(doubts_module, name, least)
    lines = texts(90)
    near = [text.replace("at night", "at noon") for text in lines[:7]]
    (tmp_path / "pool.txt").write_text("\n".join([*lines, *near, "Too short"]) + "\n")
    found = select_passages([tmp_path / "pool.txt"], model=nlp, size=200, random_share=0)
    assert len(found.chosen) == 90
    assert found.left_out == {"nearly the same as another one": 7, "fewer than 4 words": 1}


@pytest.mark.parametrize("per_lead", [1, 5])
def test_what_was_kept_is_that_of_all_at_once(per_lead):
    generator = random.Random(1)
    offered = [
        (generator.randrange(30) / 10, f"lead {generator.randrange(6)}", Candidate(Passage(str(n)), key_of(str(n))))
        for n in range(400)
    ]
    at_once = Best(1000, per_lead)
    for score, lead, one in offered:
        at_once.add(score, lead, one)
    assert len(at_once.best()) == len(offered)
    wanted = [one.key for one in at_once.best()][:12]
    for _ in range(5):
        generator.shuffle(offered)
        best = Best(12, per_lead)
        for score, lead, one in offered:
            if best.takes(score, one.key):
                best.add(score, lead, one)
        assert [one.key for one in best.best()] == wanted


def test_what_is_labelled_or_like_it_or_of_a_source_that_is_held_out_is_left_out(nlp, tmp_path):
    lines = texts(60)
    near = lines[1].replace("at night", "at noon")
    write_passages(tmp_path / "labelled.jsonl", [Passage(lines[0]), Passage(lines[1])])
    write_passages(tmp_path / "eval.jsonl", [Passage("The held-out page of another day", meta={"source": "page 1"})])
    sources = {0: "a", 2: "page 1", **dict.fromkeys(range(3, 40), "page 2")}
    records = [{"text": text, "meta": {"source": sources.get(n, f"page {n}")}} for n, text in enumerate(lines)]
    records[1] = {"text": near}
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    found = select_passages(
        [tmp_path / "pool.jsonl"], model=nlp, size=50, random_share=0, labelled=[tmp_path / "labelled.jsonl"],
        held_out=[tmp_path / "eval.jsonl"],
    )  # fmt: skip
    assert not {lines[0], near, lines[2]} & {one.passage.text for one in found.chosen}
    assert sum(one.passage.meta.get("source") == "page 2" for one in found.chosen) == 2
    assert {
        "labelled already": 1, "nearly the same as another one": 1, "its source is held out, for the evaluation": 1,
        "2 of its source are chosen": 35,
    }.items() <= found.left_out.items()  # fmt: skip
    assert len(found.notes) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The checkout service restarts each night", ""),
        ("2024-01-01 GET /health 200 from checkout-api in 12 ms", ""),
        ("Чек-аут перезапускается каждую ночь из-за кэша", "in another script (Cyrillic, not Latin)"),
        ("チェックアウトは毎晩再起動します", "in another script (Cjk, not Latin)"),
        ("Der Dienst wird von dem Team neu gestartet, und das ist nicht gut", "in another language (de, not en)"),
        ("Le service est redémarré chaque nuit par une équipe qui ne dort pas", "in another language (fr, not en)"),
        ("Morgen gibt es im Lager https://shop.example/x/de nur noch wenig", "in another language (de, not en)"),
        # Single letters and the parts of addresses are common words elsewhere: Romanian has "t", "c" and "u".
        ("Deployed x to t.co/c/u and T-U-C is up: http://t.co/b/c http://t.co/m/u", ""),
        ("@la_cosa #de /el/que/no/en fails", ""),
        ("see below", "fewer than 4 words"),
        ("0x00 0x01 0x02 12 44 55 :: 99 -- ## 12", "hardly any words"),
        ("key is the " + "aGVsbG8gd29ybGQ" * 20, "encoded data, not words"),
        ("word " * 301, "longer than 300 words"),
        ("x" * 100_000, "longer than 300 words"),
    ],
)  # fmt: skip
def test_junk_has_a_reason(text, why):
    assert why_junk(text, "en", "LATIN", 300) == why


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("job 17 failed after 20 s on host 3", "Job 4 failed after 1 s on host 12", True),
        ("the same words in one order", "one order in the same words", False),
        ("short", "short", True),
        ("次の夜に注文サービスが再起動しました", "次の夜に注文サービスが再起動しました。", True),
        ("次の夜に注文サービスが再起動しました", "昨日は支払いサービスが停止しています", False),
    ],
)
def test_near_duplicates_have_most_runs_of_words_in_common(one, other, alike):
    known = NearDuplicates()
    known.add(one)
    assert known.has_like(other) is alike


@pytest.mark.parametrize(
    ("support", "interval", "weight"),
    [
        (200, [0.86, 0.93], 0.1), (200, [0.85, 0.93], 0.1), (200, [0.81, 0.89], 0.4), (200, [0.75, 0.85], 1),
        (200, [0.3, 0.4], 1),
        # With few mentions nothing is known.
        (9, [1, 1], 1), (0, None, 1), (200, None, 1), (200, [], 1), (200, "high", 1), (None, [0.9, 0.95], 1),
    ],
)  # fmt: skip
def test_types_count_less_where_they_are_surely_near_the_gate(nlp, tmp_path, support, interval, weight):
    metrics = tmp_path / "metrics.json"
    service = {"f1": 0.9, "support": support, "intervals": {"f1": interval}}
    metrics.write_text(json.dumps({"types": {"SERVICE": service}}))
    assert type_weights(nlp, metrics=metrics) == {"INFRA": 1, "SERVICE": weight}
    assert type_weights(nlp, ["SERVICE"], metrics) == {"INFRA": 0, "SERVICE": 1}
    assert type_weights(nlp) == {"INFRA": 1, "SERVICE": 1}


def test_without_a_model_half_of_the_passages_are_random_and_the_others_have_the_words_of_the_pool(pool, tmp_path):
    found = select_passages([pool], tmp_path / "next.jsonl", size=20)
    assert sum(one.is_random for one in found.chosen) == 10
    words = {word for one in found.chosen if not one.is_random for word in one.passage.text.split()}
    assert len(words) > 40


def test_what_extract_has_written_is_a_pool(nlp, tmp_path):
    records = [
        {"text": text, "meta": {"source": "logs/a.txt", "line": n}, "entities": [], "expected": {"INFRA": 0.2}}
        for n, text in enumerate(texts(30), 1)
    ]
    (tmp_path / "found.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    select_passages([tmp_path / "found.jsonl"], tmp_path / "next.jsonl", model=nlp, size=10)
    for row in rows(tmp_path / "next.jsonl"):
        assert not {"entities", "expected"} & {*row}
        assert row["meta"]["source"].startswith("a.txt:")


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("", {}, "has no passage to label"),
        ("one two\n\nthree\n", {}, "has no passage to label"),
        ("a good passage of words\n", {"size": 0}, "`size` is 0"),
        ("a good passage of words\n", {"random_share": 2}, "`random_share` is 2"),
        ("a good passage of words\n", {"workers": 0}, "`workers` is 0"),
        ("a good passage of words\n", {"workers": 2}, "Several workers can't share one pipeline"),
        ("a good passage of words\n", {"types": ["TEM"]}, "does not know the type 'TEM'"),
        ("a good passage of words\n", {"types": ["INFRA"], "model": None}, "Without a `model`"),
        ("a good passage of words\n", {"metrics": "missing.json"}, "Can't read `metrics`"),
        ("a good passage of words\n", {"model": "missing"}, "can't be loaded"),
        ("a good passage of words\n", {"labelled": ["missing.jsonl"]}, "There is no file"),
    ],
)
def test_what_can_not_be_chosen_from_is_an_error(nlp, tmp_path, content, settings, message):
    (tmp_path / "pool.txt").write_text(content)
    with pytest.raises(UserError, match=message):
        select_passages([tmp_path / "pool.txt"], tmp_path / "next.jsonl", **{"model": nlp, **settings})
    assert not (tmp_path / "next.jsonl").exists()


def test_the_output_can_not_be_the_pool(nlp, pool):
    before = pool.read_text()
    with pytest.raises(UserError, match="is in the pool"):
        select_passages([pool], pool, model=nlp)
    assert pool.read_text() == before


@pytest.mark.parametrize("with_model", [True, False])
def test_a_split_holds_out_as_many_as_if_all_were_drawn_at_random_or_all_that_were(nlp, tmp_path, with_model):
    write_passages(tmp_path / "pool.jsonl", [Passage(text) for text in texts(400)])
    found = select_passages([tmp_path / "pool.jsonl"], model=nlp if with_model else None, size=200)
    drawn = [one for one in found.chosen if one.is_random]
    marked = [one.passage.text for one in drawn if one.passage.is_held_out_only]
    labelled = [replace(one.passage, spans=[Span(0, 3, "SERVICE")]) for one in found.chosen]
    write_passages(tmp_path / "annotations.jsonl", labelled)
    sides = split(tmp_path / "annotations.jsonl", tmp_path / "corpus").sides
    held_out = {passage.text for side in ("dev", "eval") for passage in sides[side]}
    assert {*marked} <= held_out <= {one.passage.text for one in drawn}
    # Of 100 at random, 53 may be trained on, of which a split trains on 68 %.
    assert (len(drawn), len(marked)) == ((20, 20) if with_model else (100, 47))
    assert len(held_out) == 20 if with_model else 54 <= len(held_out) <= 74
    if not with_model:
        # Not the short ones first, in the order in which those were drawn.
        lengths = [len(one.passage.text) for one in drawn]
        assert abs(sum(map(len, marked)) / len(marked) - sum(lengths) / len(lengths)) < 2


def test_a_source_with_labelled_passages_stays_where_it_is(nlp, tmp_path):
    write_passages(tmp_path / "labelled.jsonl", [Passage("The first page of another day", meta={"source": "page 1"})])
    pool = [
        Passage(text, meta={"source": "page 1" if number % 3 else f"new {number}"})
        for number, text in enumerate(texts(90))
    ]
    write_passages(tmp_path / "pool.jsonl", pool)
    found = select_passages(
        [tmp_path / "pool.jsonl"], model=nlp, size=40, random_share=0.5, per_source=99,
        labelled=[tmp_path / "labelled.jsonl"],
    )  # fmt: skip
    drawn = [one.passage for one in found.chosen if one.is_random]
    new = [passage for passage in drawn if passage.meta["source"] != "page 1"]
    assert 0 < len(new) < len(drawn)
    marked = [passage for passage in drawn if passage.is_held_out_only]
    assert len(marked) == min(len(new), round((len(found.chosen) - len(drawn)) * 0.32 / 0.68))
    assert all(passage in new for passage in marked)


def test_what_was_chosen_is_trained_on_and_what_was_drawn_is_divided(nlp, tmp_path):
    labelled = [Passage(text, meta={"source": f"page {number // 2}"}) for number, text in enumerate(texts(90))]
    write_passages(tmp_path / "annotations.jsonl", labelled)
    before = split(tmp_path / "annotations.jsonl", tmp_path, tmp_path / "split.json")
    # Pages that are held out go on in the pool.
    pool = [Passage(text, meta={"source": f"page {number}"}) for number, text in enumerate(texts(300)[90:])]
    write_passages(tmp_path / "pool.jsonl", pool)
    found = select_passages(
        [tmp_path / "pool.jsonl"], tmp_path / "next.jsonl", model=nlp, size=60, random_share=0.5,
        labelled=[tmp_path / "annotations.jsonl"], held_out=[tmp_path / "dev.jsonl", tmp_path / "eval.jsonl"],
    )  # fmt: skip
    write_passages(tmp_path / "annotations.jsonl", [*labelled, *(one.passage for one in found.chosen)])
    after = split(tmp_path / "annotations.jsonl", tmp_path, tmp_path / "split.json")
    assert after.held_back == []
    chosen = {one.passage.text for one in found.chosen if not one.is_random}
    assert chosen <= {passage.text for passage in after.train}
    assert len(after.eval) > len(before.eval)
