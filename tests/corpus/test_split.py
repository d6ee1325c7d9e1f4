"""The split: stable, disjoint, even, and with all three sides filled."""

import random
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.split import Split, read_salt, split, split_passages, write_salt
from spacy_domain_ner.errors import UserError

SOURCES = st.none() | st.sampled_from(["", "a", "b", "ü", 0, 1, False]) | st.integers(0, 30).map("page {}".format)
# Few texts, so that some stand under several sources; in several forms that are the same text.
TEXTS = st.tuples(st.integers(0, 30), st.sampled_from(["text {}", "text  {}", " text {}\n"])).map(
    lambda drawn: drawn[1].format(drawn[0])
)
PASSAGES = st.lists(
    st.builds(
        lambda text, source, labels: Passage(text, [Span(0, 4, label) for label in labels], {"source": source}),
        TEXTS,
        SOURCES,
        st.lists(st.sampled_from("AB"), max_size=3),
    ),
    max_size=60,
)


def sides(split: Split) -> dict[int, str]:
    """Each passage's side, by its identity as an object."""
    placed = {id(passage): side for side, members in split.sides.items() for passage in members}
    return placed | {id(passage): "left out" for passage in [*split.duplicates, *split.held_back]}


def tried(passages: list[Passage], salt: int = 3) -> Split | None:
    try:
        return split_passages(passages, salt=salt)
    except UserError:
        return None


def corpus(groups: int, seed: int = 0) -> list[Passage]:
    rng = random.Random(seed)
    passages = []
    for group in range(groups):
        for number in range(rng.randint(1, 4)):
            labels = ["COMMON"] * rng.randint(0, 3) + ["RARE"] * (rng.random() < 0.1)
            passages.append(
                Passage(f"text {group} {number}", [Span(0, 4, name) for name in labels], {"source": f"page {group}"})
            )
    return passages


@given(PASSAGES)
def test_each_passage_is_in_one_place_and_the_same_text_never_on_two_sides(passages):
    split = tried(passages)
    if split is None:
        return
    placed = [id(p) for members in [*split.sides.values(), split.duplicates] for p in members]
    assert sorted(placed) == sorted(map(id, passages))
    texts = [{text_identity(passage.text) for passage in members} for members in split.sides.values()]
    assert sum(map(len, texts)) == len(set().union(*texts))
    assert {text_identity(passage.text) for passage in split.duplicates} <= set().union(*texts)


@given(PASSAGES)
def test_groups_stay_together(passages):
    split = tried(passages)
    if split is None:
        return
    side_of: dict[str, str] = {}
    for side, members in split.sides.items():
        for passage in members:
            source = passage.meta["source"]
            group = text_identity(passage.text) if source in (None, "") else f"source {source}"
            assert side_of.setdefault(group, side) == side


@given(PASSAGES, st.randoms())
def test_reordering_changes_nothing(passages, rng):
    before = tried(passages)
    after = tried(rng.sample(passages, len(passages)))
    if before is None or after is None:
        assert before is after
        return
    assert sides(before) == sides(after)


@given(PASSAGES, PASSAGES)
def test_adding_or_removing_passages_moves_none_to_another_side(passages, more):
    fewer, all_of_them = tried(passages), tried(passages + more)
    if fewer is None or all_of_them is None:
        return
    after = sides(all_of_them)
    for passage, side in sides(fewer).items():
        # It may be left out, where one that was added has the same text.
        assert after[passage] in (side, "left out")


def test_nothing_is_left_out_where_no_text_is_on_two_sides():
    assert split_passages(corpus(300)).duplicates == []


@pytest.mark.parametrize("first", ["eval", "train"])
def test_the_evaluation_set_keeps_a_text_that_is_on_two_sides(first):
    split = split_passages(corpus(50), salt=1)
    names = {side: members[0].meta["source"] for side, members in split.sides.items()}
    added = [Passage("shared", meta={"source": names[side]}) for side in ("eval", "train")]
    again = split_passages(corpus(50) + (added if first == "eval" else added[::-1]), salt=1)
    assert "shared" in [passage.text for passage in again.eval]
    assert [passage.meta["source"] for passage in again.duplicates] == [names["train"]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("eval_fraction", "dev_fraction"), [(0.2, 0.15), (0.3, 0.2)])
def test_the_shares_per_type_are_near_those_wanted(seed, eval_fraction, dev_fraction):
    passages = corpus(250, seed)
    split = split_passages(passages, eval_fraction=eval_fraction, dev_fraction=dev_fraction)
    total = Counter(span.label for passage in passages for span in passage.spans)
    wanted = {"eval": eval_fraction, "dev": (1 - eval_fraction) * dev_fraction}
    for side, share in wanted.items():
        counts = Counter(span.label for passage in split.sides[side] for span in passage.spans)
        assert len(split.sides[side]) / len(passages) == pytest.approx(share, abs=0.03)
        assert counts["COMMON"] / total["COMMON"] == pytest.approx(share, abs=0.03)
        assert counts["RARE"] / total["RARE"] == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("groups", [3, 4, 5, 10, 30])
def test_all_three_sides_are_filled_however_few_groups_there_are(groups):
    for seed in range(5):
        split = split_passages([Passage(f"text {seed} {number}") for number in range(groups)])
        assert all(split.sides.values())


def test_the_salt_makes_the_same_split_again_and_is_the_same_each_time():
    passages = corpus(40)
    first, second = split_passages(passages), split_passages(passages)
    assert first == second
    assert split_passages(passages, salt=first.salt) == first
    assert split_passages(passages[::-1]).salt == first.salt


def test_a_corpus_of_thousands_of_sources_is_split_in_seconds():
    split = split_passages(corpus(1500))
    assert len(split.eval) / 3750 == pytest.approx(0.2, abs=0.02)


def test_source_0_is_a_source():
    passages = [Passage(f"text {number}", meta={"source": 0}) for number in range(20)]
    with pytest.raises(UserError, match="from 1 source"):
        split_passages(passages)


@pytest.mark.parametrize("name", ["eval_fraction", "dev_fraction"])
@pytest.mark.parametrize("fraction", [0, 1, -0.1, 20, float("nan")])
def test_a_fraction_out_of_range_is_refused(name, fraction):
    with pytest.raises(UserError, match="between 0 and 1"):
        split_passages(corpus(20), **{name: fraction})


def test_mentions_are_counted_per_label_and_set():
    one = Passage("Redis", [Span(0, 5, "INFRA")])
    split = Split(train=[one, one], dev=[], eval=[Passage("Ada", [Span(0, 3, "TEAM")])], salt=0, duplicates=[])
    assert split.mentions() == {
        "INFRA": {"train": 2, "dev": 0, "eval": 0},
        "TEAM": {"train": 0, "dev": 0, "eval": 1},
    }


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_groups_are_refused_with_what_to_do(count):
    with pytest.raises(UserError, match=f"from {count} source") as raised:
        split_passages([Passage(f"text {number}") for number in range(count)])
    assert "meta.source" in raised.value.hint


def test_a_side_that_a_kept_salt_leaves_empty_is_named():
    passages = [Passage(f"text {number}") for number in range(3)]
    salt = next(salt for salt in range(50) if tried(passages, salt) is None)
    with pytest.raises(UserError, match=r"No passage falls into the (train|dev|eval) set"):
        split_passages(passages, salt=salt)


def test_a_kept_split_that_leaves_a_side_empty_names_the_file_to_delete(tmp_path):
    passages = [Passage(f"text {number}") for number in range(3)]
    write_passages(tmp_path / "annotations.jsonl", passages)
    state = tmp_path / "split.json"
    write_salt(state, next(salt for salt in range(50) if tried(passages, salt) is None))
    with pytest.raises(UserError, match=f"in the split that {re.escape(str(state))} keeps") as raised:
        split(tmp_path / "annotations.jsonl", tmp_path / "out", state)
    assert f"Delete {state}" in raised.value.hint
    assert not (tmp_path / "out").exists()
    state.unlink()
    split(tmp_path / "annotations.jsonl", tmp_path / "out", state)
    assert state.exists()


def test_the_salt_is_kept_in_a_file(tmp_path):
    path = tmp_path / "state/split.json"
    assert read_salt(path) is None
    write_salt(path, 17)
    assert read_salt(path) == 17


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"null", b'{"salt": "3"}', b'{"salt": true}', b'{"salt": null}', b"\xff", None]
)
def test_a_file_that_holds_no_salt_is_refused_by_name(tmp_path, content):
    path = tmp_path / "split.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=r"split\.json is not a split file") as raised:
        read_salt(path)
    assert "delete it" in raised.value.hint


def test_passages_for_training_only_are_on_the_training_side_or_nowhere():
    drawn = corpus(60)
    before = split_passages(drawn, salt=3)
    groups = {side: members[0].meta["source"] for side, members in before.sides.items()}
    chosen = [
        Passage("of a source on the training side", [], {"source": groups["train"], "training_only": True}),
        Passage("of a source of its own", [], {"source": "new", "training_only": "true"}),
        Passage("of no source", [], {"training_only": 1}),
        Passage("of a source that is held out", [], {"source": groups["eval"], "training_only": True}),
        Passage("of a source for early stopping", [], {"source": groups["dev"], "training_only": True}),
        Passage(before.eval[0].text, [], {"source": "other", "training_only": True}),
    ]
    random.Random(1).shuffle(chosen)
    after = split_passages([*chosen, *drawn], salt=3)
    assert (after.eval, after.dev) == (before.eval, before.dev)
    added = {passage.text for passage in after.train} - {passage.text for passage in before.train}
    assert added == {"of a source on the training side", "of a source of its own", "of no source"}
    assert {passage.text for passage in after.held_back} == {
        "of a source that is held out", "of a source for early stopping", before.eval[0].text
    }  # fmt: skip
    assert after.duplicates == before.duplicates


def test_passages_for_training_only_can_not_fill_the_held_out_sides():
    chosen = [Passage(f"chosen {number}", [], {"training_only": True}) for number in range(50)]
    with pytest.raises(UserError, match="2 passage") as raised:
        split_passages([Passage("one"), Passage("two"), *chosen])
    assert "training_only can't be held out" in raised.value.hint


@pytest.mark.parametrize("salt", range(5))
def test_passages_that_are_not_trained_on_are_held_out_in_the_same_proportion(salt):
    drawn = corpus(200)
    before = split_passages(drawn, salt=salt)
    beside = [Passage(f"beside chosen ones {number}", [], {"held_out_only": "true"}) for number in range(200)]
    # A passage for training only measures nothing, whatever else it says.
    both = Passage("chosen", [], {"held_out_only": True, "training_only": True})
    after = split_passages([*beside, both, *drawn], salt=salt)
    added = {side: [one for one in after.sides[side] if one not in before.sides[side]] for side in after.sides}
    assert added["train"] == [both]
    assert len(added["eval"]) + len(added["dev"]) == 200
    assert 105 <= len(added["eval"]) <= 145
    # The others stay where they were, and a group with one such passage is held out whole.
    assert all({*map(id, before.sides[side])} <= {*map(id, after.sides[side])} for side in after.sides)
    together = [Passage(f"of a page {number}", [], {"source": "page"}) for number in range(3)]
    together[1].meta["held_out_only"] = True
    sides = split_passages([*together, *drawn], salt=salt).sides
    assert sum(passage in together for passage in [*sides["eval"], *sides["dev"]]) == 3


@pytest.mark.parametrize("salt", [None, 3])
def test_passages_that_are_not_trained_on_can_not_fill_the_training_side(tmp_path, salt):
    passages = [Passage(f"beside {number}", [], {"held_out_only": True}) for number in range(50)]
    write_passages(tmp_path / "annotations.jsonl", passages)
    if salt is not None:
        write_salt(tmp_path / "split.json", salt)
    with pytest.raises(UserError, match="falls into the train set") as raised:
        split(tmp_path / "annotations.jsonl", tmp_path / "out", tmp_path / "split.json")
    assert "held_out_only are never trained on" in raised.value.hint
    assert not (tmp_path / "out").exists()


def test_the_first_split_is_even_with_passages_that_are_not_trained_on():
    # One type is in them only, so none of its mentions is wanted in training.
    beside = [Passage(f"beside {n}", [Span(0, 3, "NEW")], {"held_out_only": True}) for n in range(40)]
    result = split_passages([*beside, *corpus(200)])
    counts = result.mentions()["NEW"]
    assert counts == {"train": 0, "eval": 40 - counts["dev"], "dev": counts["dev"]}
    assert 13 <= counts["dev"] <= 17


def with_pack(own: int, sources: int = 1_000) -> list[Passage]:
    """A pack's passages, and some of the user's own."""
    came = [replace(passage, meta={**passage.meta, "origin": "starter"}) for passage in corpus(300)]
    return came + [Passage(f"own {n}", [Span(0, 3, "COMMON")], {"source": f"own {n % sources}"}) for n in range(own)]


def test_with_enough_passages_of_the_users_own_those_of_the_pack_are_for_training_only(tmp_path):
    write_passages(tmp_path / "annotations.jsonl", with_pack(0))
    write_passages(tmp_path / "more.jsonl", with_pack(500))
    before = split(tmp_path / "annotations.jsonl", tmp_path, tmp_path / "split.json")
    after = split(tmp_path / "more.jsonl", tmp_path, tmp_path / "split.json")
    assert not before.starters_train
    assert after.starters_train
    assert not any(passage.is_starter for passage in [*after.dev, *after.eval])
    assert len(after.dev) >= 30
    assert sum(passage.is_starter for passage in after.train) == len(with_pack(0))


@pytest.mark.parametrize(("own", "sources"), [(0, 1), (60, 1_000), (1_000, 2)], ids=["none", "few", "of two documents"])
def test_with_few_passages_of_the_users_own_the_pack_stays_in_all_sets(tmp_path, own, sources):
    passages = with_pack(own, sources)
    write_passages(tmp_path / "annotations.jsonl", passages)
    result = split(tmp_path / "annotations.jsonl", tmp_path, tmp_path / "split.json")
    assert not result.starters_train
    assert sum(map(len, result.sides.values())) == len(passages)
    assert any(passage.is_starter for passage in result.eval)
    assert not any("training_only" in passage.meta for passage in result.train)


@pytest.mark.parametrize(("own", "said"), [(0, []), (60, ["your own", "With 30"]), (500, ["for training only"])])
def test_the_split_says_what_becomes_of_the_packs_passages(domain_ner, tmp_path, own, said):
    write_passages(tmp_path / "annotations.jsonl", with_pack(own))
    done = domain_ner("split", tmp_path / "annotations.jsonl", tmp_path / "corpus")
    assert done.code == 0, done.err
    assert all(words in done.out for words in said)
    assert said or "pack" not in done.out
