"""A token classifier that transformers has trained, as a component of a spaCy pipeline."""

import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import pytest
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Span

from spacy_domain_ner.components.huggingface_ner import FACTORY, HuggingFaceNER, _expected, _to_biluo, decode

pytest.importorskip("transformers", reason="the transformers extra is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pytorch")]

ODD_TEXTS = ["", " ", "\r\n\t \u00a0", "🚀", "cafe\u0301 " * 50, "\u200b\u200b", "()", "x" * 3000, "[SEP] [CLS]"]


@pytest.fixture(scope="module")
def project(trained) -> Path:
    return trained("wordpiece-cased", "huggingface")


@pytest.fixture(scope="module")
def nlp(project) -> Language:
    return spacy.load(project / "training/model-best")


@pytest.fixture(scope="module")
def texts(project) -> list[str]:
    return [json.loads(line)["text"] for line in (project / "train.jsonl").read_text(encoding="utf8").splitlines()]


def found(docs) -> list[list[tuple[int, int, str]]]:
    return [[(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_finds_what_it_was_taught(nlp, project, texts):
    lines = (project / "train.jsonl").read_text(encoding="utf8").splitlines()
    taught = [{(span["start"], span["end"], span["label"]) for span in json.loads(line)["spans"]} for line in lines]
    hits = sum(len(set(ents) & wanted) for ents, wanted in zip(found(nlp.pipe(texts)), taught, strict=True))
    assert hits > 0.9 * sum(map(len, taught))
    assert set(nlp.get_pipe(FACTORY).labels) == {label for spans in taught for _, _, label in spans}


def test_one_by_one_and_in_batches_it_finds_the_same_in_the_same_order(nlp, texts):
    mixed = [text for pair in zip(texts, ODD_TEXTS + texts, strict=False) for text in pair]
    one_by_one = found(nlp(text) for text in mixed)
    for size in (1, 3, 1000):
        docs = list(nlp.pipe(mixed, batch_size=size))
        assert [doc.text for doc in docs] == mixed
        assert found(docs) == one_by_one
    assert any(one_by_one)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=repr)
def test_no_text_is_too_odd(nlp, text):
    assert nlp(text).text == text


def test_blanks_are_no_entities(nlp):
    for text in ("", " ", "\n\n", "\u00a0\u2003"):
        assert found([nlp(text)]) == [[]]


def test_a_text_of_twenty_thousand_characters_is_read_to_its_end(nlp, texts):
    doc = nlp(" ".join(texts * 30)[:20_000])
    assert max(ent.end_char for ent in doc.ents) > 18_000


def test_to_bytes_and_back(nlp, texts):
    again = type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert found(again.pipe(texts)) == found(nlp.pipe(texts))


def test_to_disk_and_back_again_and_again_gives_the_same_files(nlp, texts, tmp_path):
    list(nlp.pipe(texts))
    nlp.to_disk(tmp_path / "one")
    again = spacy.load(tmp_path / "one")
    list(again.pipe(texts))
    again.to_disk(tmp_path / "two")
    assert hashes(tmp_path / "one" / FACTORY) == hashes(tmp_path / "two" / FACTORY)


def test_the_length_of_a_window_does_not_stay_with_the_tokenizer(project):
    folder = project / "training/model-best" / FACTORY
    assert json.loads((folder / "tokenizer.json").read_text(encoding="utf8"))["truncation"] is None
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf8"))
    assert {"max_length", "stride", "truncation_strategy"}.isdisjoint(settings)


def test_the_folder_is_a_model_that_transformers_runs_by_itself(nlp, project, texts):
    from transformers import pipeline

    folder = project / "training/model-best" / FACTORY
    assert (folder / "model.safetensors").is_file()
    assert not [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("checkpoint*")]
    classify = pipeline("token-classification", model=str(folder), aggregation_strategy="first", device=-1)
    rows = [{(row["start"], row["end"], row["entity_group"]) for row in classify(text)} for text in texts]
    ours = [set(ents) for ents in found(nlp.pipe(texts))]
    # It puts words together by blanks, so that a name's full stop or bracket may be part of it.
    assert sum(len(theirs & mine) for theirs, mine in zip(rows, ours, strict=True)) > 0.5 * sum(map(len, ours))


def test_several_processes_find_the_same(project, nlp, texts, tmp_path):
    # As a user's script: with a process of its own, that a test's state can't help or hinder.
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys, spacy\n"
        "if __name__ == '__main__':\n"
        "    nlp = spacy.load(sys.argv[1])\n"
        "    texts = json.load(sys.stdin)\n"
        "    docs = nlp.pipe(texts, n_process=2, batch_size=2)\n"
        "    print(json.dumps([[[e.start_char, e.end_char, e.label_] for e in doc.ents] for doc in docs]))\n"
    )
    command = [sys.executable, str(script), str(project / "training/model-best")]
    given = json.dumps([*texts, *ODD_TEXTS])
    done = subprocess.run(command, input=given, capture_output=True, encoding="utf8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[tuple(ent) for ent in ents] for ents in json.loads(done.stdout)]
    assert rows == found(nlp.pipe([*texts, *ODD_TEXTS]))


def test_what_an_earlier_component_has_found_stays_where_nothing_is(nlp, texts, project):
    ruled = spacy.load(project / "training/model-best")
    ruler = ruled.add_pipe("entity_ruler", before=FACTORY)
    ruler.add_patterns([{"label": "WORD", "pattern": "The"}])
    for plain, doc in zip(nlp.pipe(texts), ruled.pipe(texts), strict=True):
        assert {ent.text for ent in doc.ents if ent.label_ == "WORD"} <= {"The"}
        assert found([plain])[0] == [ent for ent in found([doc])[0] if ent[2] != "WORD"]
    assert any(ent.label_ == "WORD" for doc in ruled.pipe(texts) for ent in doc.ents)


def test_each_entity_has_its_confidence_and_calibration_travels(nlp, texts, tmp_path, project):
    again = spacy.load(project / "training/model-best")
    component = again.get_pipe(FACTORY)
    assert component.calibration["slope"] > 0
    component.calibration = None
    before = [ent._.confidence for doc in again.pipe(texts) for ent in doc.ents]
    component.calibration = {"slope": 1.0, "intercept": -2.0}
    again.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    after = [ent._.confidence for doc in loaded.pipe(texts) for ent in doc.ents]
    assert loaded.get_pipe(FACTORY).calibration == component.calibration
    assert all(low < high for low, high in zip(after, before, strict=True))


def test_a_confidence_is_the_product_of_its_tags_probabilities(project, texts):
    import torch

    nlp = spacy.load(project / "training/model-best")
    component = nlp.get_pipe(FACTORY)
    component.calibration = None
    numbers = component.model.config.label2id
    compared = 0
    for doc in nlp.pipe(texts):
        inputs = component.tokenizer(doc.text, return_tensors="pt", return_offsets_mapping=True)
        starts = inputs.pop("offset_mapping")[0, :, 0].tolist()
        with torch.inference_mode():
            rows = component.model(**inputs).logits[0].softmax(-1).tolist()
        # Words of letters and digits alone begin where a word piece does; the first one is [CLS].
        tags = {token.i: rows[starts.index(token.idx, 1)] for token in doc if token.idx in starts[1:]}
        for ent in doc.ents:
            first, *others = [tags[token.i] for token in ent]
            begins, goes_on = numbers[f"B-{ent.label_}"], numbers[f"I-{ent.label_}"]
            expected = first[begins] + first[goes_on]
            for row in others:
                expected *= row[goes_on]
            if ent.end < len(doc):
                expected *= 1 - tags[ent.end][goes_on]
            assert ent._.confidence == pytest.approx(expected, abs=1e-4)
            compared += 1
    assert compared > 10


def test_what_is_not_found_is_less_probable_than_what_is(nlp, texts):
    component = nlp.get_pipe(FACTORY)
    docs = [nlp.make_doc(text) for text in texts]
    for doc, found in zip(nlp.pipe(texts), component.predict(docs), strict=True):
        for start, end, label in found:
            other = next(name for name in component.labels if name != label)
            [asked] = component.probabilities([nlp.make_doc(doc.text)], [[(start, end, other), (start, end, "NONE")]])
            assert asked[start, end, other] <= asked[start, end, label]
            assert asked[start, end, "NONE"] == 0


@pytest.mark.parametrize("seed", range(30))
def test_the_expected_number_of_entities_and_the_tags_probabilities_are_those_over_all_tags(seed):
    draw = numpy.random.default_rng(seed)
    # Some tokens have no word piece, some share one with the token before, some are taken.
    starts = numpy.array([-1 if draw.random() < 0.2 else number * 3 for number in range(5)])
    rows = draw.dirichlet(numpy.ones(5), 5)
    for number in range(1, 5):
        if starts[number] >= 0 and starts[number - 1] >= 0 and draw.random() < 0.3:
            starts[number], rows[number] = starts[number - 1], rows[number - 1]
    taken = draw.random(5) < 0.2
    shared = [bool(number and starts[number] == starts[number - 1] >= 0) for number in range(5)]
    names = ["O", "B-A", "I-A", "B-B", "I-B"]
    wanted, wanted_tags = numpy.zeros(2), numpy.zeros((5, 9))
    # Each word piece draws its own tag, and a token has that of its piece.
    own = [number for number in range(5) if not shared[number]]
    for drawn in itertools.product(range(5), repeat=len(own)):
        share = numpy.prod([rows[number, tag] for number, tag in zip(own, drawn, strict=True)])
        tags: list[str] = []
        piece = "O"
        for number in range(5):
            name = names[drawn[own.index(number)]] if not shared[number] else piece
            piece = name
            if shared[number] and name != "O":
                name = "I" + name[1:]
            tags.append("O" if taken[number] else name)
        wanted_tags[:, 0] += share
        for start, end, label in decode(tags, (starts >= 0) | taken):
            wanted["AB".index(label)] += share
            parts = [3] if end - start == 1 else [0, *[1] * (end - start - 2), 2]
            wanted_tags[start:end, 0] -= share
            wanted_tags[range(start, end), [1 + 4 * "AB".index(label) + part for part in parts]] += share
    found = _expected(rows[:, [[1, 2], [3, 4]]], starts, taken)
    numpy.testing.assert_allclose(found, wanted, atol=1e-9)
    numpy.testing.assert_allclose(_to_biluo(rows[:, [[1, 2], [3, 4]]], starts, taken), wanted_tags, atol=1e-6)


def test_what_is_expected_is_about_what_is_found_before_and_after_it_was_set(nlp, texts):
    component = nlp.get_pipe(FACTORY)
    fresh = component.expected([nlp.make_doc(text) for text in ["", *texts]])
    docs = list(nlp.pipe(["", *texts]))
    for before, after, doc in zip(fresh, component.expected(docs), docs, strict=True):
        assert after == pytest.approx(before, abs=1e-4)
        for label, count in before.items():
            assert count == pytest.approx(sum(ent.label_ == label for ent in doc.ents), abs=0.5)


def test_the_uncertainty_of_a_token_is_that_of_its_first_word_piece(nlp, texts):
    component = nlp.get_pipe(FACTORY)
    docs = list(nlp.pipe(["", *texts]))
    for doc, rows in zip(docs, component.uncertainty(docs), strict=True):
        assert rows.shape == (len(doc), 1 + len(component.labels))
        entropy, inside = rows[:, 0], rows[:, 1:]
        assert (entropy >= 0).all()
        assert (inside.sum(axis=1) <= 1 + 1e-5).all()
        for ent in doc.ents:
            assert (inside[ent.start : ent.end].argmax(axis=1) == component.labels.index(ent.label_)).all()


def test_the_likeliest_tags_are_those_of_what_is_found(nlp, texts):
    component = nlp.get_pipe(FACTORY)
    docs = list(nlp.pipe([*texts, *ODD_TEXTS]))
    for doc, shares in zip(docs, component.tag_probabilities(docs), strict=True):
        assert shares.shape == (len(doc), 1 + 4 * len(component.labels))
        numpy.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
        for ent in doc.ents if doc.text in texts else ():
            column = 1 + 4 * component.labels.index(ent.label_)
            assert shares[ent.start, [column, column + 3]].sum() > 0.5


def test_a_component_without_a_model_says_so():
    nlp = spacy.blank("en")
    nlp.add_pipe(FACTORY)
    assert nlp.get_pipe(FACTORY).labels == ()
    with pytest.raises(ValueError, match="has no model yet"):
        nlp("Redis")
    assert HuggingFaceNER(nlp.vocab).from_bytes(nlp.get_pipe(FACTORY).to_bytes()).model is None


@pytest.mark.parametrize(
    "name",
    [
        "{outside}", "../escaped", "a/../../escaped", "..", ".", "", "a//b", "a/", "./a", "/", "C:/escaped",
        "C:escaped", "..\\escaped", "a\\..\\..\\escaped", "\\\\server\\share", "config.json:stream", "a\0b",
        b"config.json", 1,
    ],
)  # fmt: skip
def test_bytes_that_name_a_file_outside_of_the_folder_are_refused_and_nothing_is_written(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    if name == "{outside}":
        name = str(tmp_path / "escaped")
    data = srsly.msgpack_dumps({"innocent.txt": b"", name: b"escaped"})
    with pytest.raises(ValueError, match="not below the component's folder") as raised:
        HuggingFaceNER(spacy.blank("en").vocab).from_bytes(data)
    assert repr(name) in str(raised.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


@pytest.mark.parametrize("content", [[b"config.json"], None, {"config.json": "text"}, {"config.json": None}])
def test_bytes_of_something_else_are_refused(content):
    with pytest.raises(ValueError, match="bytes"):
        HuggingFaceNER(spacy.blank("en").vocab).from_bytes(srsly.msgpack_dumps(content))


def test_an_error_in_a_batch_goes_to_the_error_handler(nlp, texts, monkeypatch):
    component = nlp.get_pipe(FACTORY)
    seen = []
    monkeypatch.setattr(component, "predict", lambda docs: 1 / 0)
    component.set_error_handler(lambda name, pipe, docs, error: seen.append((name, len(docs), type(error))))
    try:
        assert list(nlp.pipe(texts[:3])) == []
    finally:
        component.set_error_handler(spacy.util.raise_error)
    assert seen == [(FACTORY, 3, ZeroDivisionError)]


def test_the_scores_of_a_pipeline_are_those_of_its_entities(nlp, project):
    from spacy.tokens import DocBin
    from spacy.training import Example

    docs = DocBin().from_disk(project / "train.spacy").get_docs(nlp.vocab)
    scores = nlp.evaluate([Example(nlp.make_doc(doc.text), doc) for doc in docs])
    assert scores["ents_f"] > 0.9
    assert set(scores["ents_per_type"]) == set(nlp.get_pipe(FACTORY).labels)


def test_it_predicts_around_what_an_earlier_component_has_found(nlp, texts):
    text, ent = next((doc.text, doc.ents[0]) for doc in nlp.pipe(texts) if len(doc.ents) > 1 and doc.ents[0].end > 1)
    alone = nlp(text)
    taken = nlp.make_doc(text)
    # It crosses the first entity's beginning, or takes it with another type.
    first = max(0, ent.start - 1)
    taken.ents = [Span(taken, first, ent.start + 1, label="OTHER", kb_id="Q1", span_id="of the rule")]
    nlp.get_pipe(FACTORY)(taken)
    [other] = [ent for ent in taken.ents if ent.label_ == "OTHER"]
    assert (other.start, other.end, other.kb_id_, other.ent_id_) == (first, ent.start + 1, "Q1", "of the rule")
    assert other._.confidence is None
    assert found([taken])[0][-1] == found([alone])[0][-1]
    assert all(0 < ent._.confidence <= 1 and ent.ent_id_ == "" for ent in taken.ents if ent != other)
