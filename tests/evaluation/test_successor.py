"""A new model against the present one: what keeps the present one in its place."""

from pathlib import Path

import pytest
import spacy

from spacy_domain_ner import compare_successor, write_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Saves models that find these names as INFRA; the evaluation set has Redis and Kafka, in turn."""
    monkeypatch.chdir(tmp_path)
    Path("entity_types.yml").write_text("entity_types: [{name: INFRA}, {name: TEAM}]")
    names = ("Redis", "Kafka") * 20
    write_passages(
        Path("eval.jsonl"), [Passage(f"{name} is down {n}", [Span(0, 5, "INFRA")]) for n, name in enumerate(names)]
    )

    def save(folder: str, *names: str) -> str:
        nlp = spacy.blank("en")
        nlp.add_pipe("entity_ruler").add_patterns([{"label": "INFRA", "pattern": name} for name in names])
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        nlp.to_disk(folder)
        return folder

    return save


@pytest.mark.parametrize(
    ("new", "present", "is_worse", "said"),
    [
        (["Redis", "Kafka"], ["Redis"], False, "The new model is not worse: +33.3 points of F1"),
        (["Redis"], ["Redis"], False, "The new model is not worse: +0.0 points of F1"),
        (["Redis"], ["Redis", "Kafka"], True, "Types that are worse: INFRA (−33.3 points"),
        ([], [], True, "The evaluation set does not tell"),
    ],
)
def test_only_a_model_that_is_worse_by_more_than_chance_stays_out(models, new, present, is_worse, said):
    passages = "eval.jsonl"
    if not new:
        passages = "empty.jsonl"
        write_passages(Path(passages), [Passage("nothing here")])
    found = compare_successor(models("new", *new), models("present", *present), passages)
    assert (found.is_worse, said in str(found)) == (is_worse, True), str(found)


def test_the_present_one_may_be_named_by_its_package_s_folder(models, domain_ner):
    models("packages/en_ops-0.1.0/en_ops/en_ops-0.1.0", "Redis", "Kafka")
    done = domain_ner("monitor", "successor", models("new", "Redis"), "packages/en_ops-0.1.0", "--eval", "eval.jsonl")
    assert (done.code, "packages/en_ops-0.1.0 stays" in done.out) == (3, True)
    first = domain_ner("monitor", "successor", "new", "packages/en_ops-0.2.0", "--eval", "eval.jsonl")
    assert (first.code, "nothing to compare with" in first.out) == (0, True)


def test_an_evaluation_set_without_passages_is_told(models):
    Path("none.jsonl").write_text("")
    with pytest.raises(UserError, match=r"none.jsonl has no passages"):
        compare_successor(models("new"), models("present"), "none.jsonl")


def test_a_new_model_takes_its_place_only_where_it_is_not_worse(models, domain_ner):
    options = "--eval", "eval.jsonl", "--adopt", "training/model-best"
    place = Path(models("training/model-best", "Redis", "Kafka")) / "config.cfg"
    before = place.stat().st_mtime_ns
    refused = domain_ner("monitor", "successor", models("new"), models("present", "Redis", "Kafka"), *options)
    assert (refused.code, "The new one is in new" in refused.out) == (3, True)
    assert (place.stat().st_mtime_ns, Path("new/config.cfg").is_file()) == (before, True)
    # Where there is a present one, and where there is none yet.
    for present in ("present", "packages/en_ops-0.2.0"):
        done = domain_ner("monitor", "successor", models("better", "Redis", "Kafka"), present, *options)
        assert (done.code, Path("better").exists(), place.is_file()) == (0, False, True), done.out + done.err
    assert place.stat().st_mtime_ns != before
