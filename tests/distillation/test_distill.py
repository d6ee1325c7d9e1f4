"""A small model that learns from a better one: what is read, kept, compared, and refused."""

import shutil

import numpy
import pytest
import spacy
import srsly
from helpers.memorized import memorized
from helpers.ruled import ruled
from spacy.tokens import DocBin

from spacy_domain_ner import Recipe, UserError, convert, distill
from spacy_domain_ner.components.biluo_ner import FACTORY, SOFT_TAGS, unpack_tags
from spacy_domain_ner.corpus import Passage, Span, write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.distillation import labelling
from spacy_domain_ner.distillation.labelling import label_passages
from spacy_domain_ner.distillation.teacher import find_teacher
from spacy_domain_ner.models import load_model


def seen(number: int, store: str) -> Passage:
    """A sentence that is nothing like those that people have labelled."""
    service = f"svc-{number}"
    text = f"Then {service} saw {store} go."
    return Passage(text, [Span(5, 5 + len(service), "SERVICE"), Span(text.index(store), len(text) - 4, "INFRA")])


STORES = ("Redis", "Kafka")
NEW = [seen(number, store).text for number in range(12) for store in STORES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, template_configs, make_passages):
    """A project with a teacher that knows all passages by heart; the student has seen other sentences."""
    folder = tmp_path_factory.mktemp("distill")
    config = (template_configs / "cnn.cfg").read_text(encoding="utf8").replace('rules = ["software"]', "rules = []")
    (folder / "config.cfg").write_text(config, encoding="utf8")
    gold, later = make_passages()[:12], [seen(number, store) for number in range(20, 24) for store in STORES]
    for name, part in (("train", gold), ("dev", later[:4]), ("eval", later[4:])):
        write_passages(folder / f"{name}.jsonl", part)
        convert(folder / f"{name}.jsonl", folder / "config.cfg")
    memorized(FACTORY, [*gold, *later]).to_disk(folder / "teacher")
    (folder / "texts").mkdir()
    known = [gold[0].text, later[1].text, later[5].text]
    (folder / "texts/a.txt").write_text("\n".join([*NEW, NEW[0], *known]) + "\n", encoding="utf8")
    return folder


def run(folder, say=lambda line: None, texts="texts", **values):
    recipe = Recipe(folder / "config.cfg", folder / "train.spacy", folder / "dev.spacy", max_epochs=2, gpu_id=-1)
    values = {"teacher": folder / "teacher", "size": 100, "held_out": [folder / "eval.jsonl"], **values}
    return distill([folder / texts], folder / "training", recipe=recipe, say=say, **values)


@pytest.fixture(scope="module")
def first(folder):
    lines = []
    return run(folder, lines.append), lines


def docs_in(path):
    return list(DocBin().from_bytes(path.read_bytes()).get_docs(spacy.blank("en").vocab))


def test_it_learns_from_both_and_takes_the_place_of_what_was_there(folder, first):
    found, _ = first
    assert (found.reviewed, found.read, found.silver) == (12, 28, 24)
    assert found.teacher_f1 > found.alone_f1
    assert found.f1 > found.alone_f1
    assert found.model == folder / "training/model-best"
    told = srsly.read_json(found.model / "meta.json")["distilled"]
    assert (told["passages"], told["teacher"]) == (24, "en_pipeline 0.0.0")
    assert spacy.load(found.model).get_pipe("ner").labels == ("INFRA", "SERVICE")


def test_what_the_teacher_has_read_is_for_training_only(folder, first):
    docs = docs_in(folder / "training/distilled/train.spacy")
    soft = [doc for doc in docs if SOFT_TAGS in doc.user_data]
    assert sorted(doc.text for doc in soft) == sorted(NEW)
    assert len(docs) == 36
    assert not any(token.ent_iob for doc in soft for token in doc)
    assert first[0].left_out == {
        "the same text again": 1,
        "reviewed already": 1,
        "its text is held out, for the evaluation": 2,
    }


def test_a_second_run_repeats_nothing_and_gives_the_same_model(folder, first, monkeypatch):
    weights = (first[0].model / "ner/model").read_bytes()
    monkeypatch.setattr(labelling, "_label", None)
    lines = []
    again = run(folder, lines.append)
    assert (again.f1, again.alone_f1, again.silver) == (first[0].f1, first[0].alone_f1, 24)
    assert sum("was trained before" in line for line in lines) == 2
    assert (again.model / "ner/model").read_bytes() == weights


def test_the_present_model_is_the_one_without_a_teacher_where_it_was_trained_so(folder, first, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "training/model-best", ignore_errors=True)
    shutil.copytree(copy / "training/distilled/alone/model-best", copy / "training/model-best")
    shutil.rmtree(copy / "training/distilled/alone")
    assert run(copy).alone_f1 == first[0].alone_f1
    assert not (copy / "training/distilled/alone").exists()


def test_the_command_says_what_is_left_out_and_how_the_models_compare(folder, first, monkeypatch, domain_ner):
    monkeypatch.chdir(folder)
    command = ["distill", "texts", "--teacher", "teacher", "--config", "config.cfg", "--train", "train.spacy"]
    command += ["--dev", "dev.spacy", "--held-out", "eval.jsonl", "--max-epochs", 2, "--gpu-id", -1]
    done = domain_ner(*command)
    assert done.code == 0, done
    assert "2 of 28 passages left out: its text is held out, for the evaluation" in done.out
    assert "12 labelled passages and 24 that the teacher has read" in done.out
    assert "F1 on dev.spacy" in done.out
    refused = domain_ner(*command, "--size", 0)
    assert refused.code == 1
    assert "--size is 0" in refused.err
    assert domain_ner(*command[:3], "training/nothing", *command[4:]).code == 1
    assert "more than the 3 that --size says" in domain_ner(*command, "--size", 3).out


def one_type(folder):
    infra = [Passage(one.text, [span for span in one.spans if span.label == "INFRA"]) for one in TWO]
    memorized(FACTORY, infra).to_disk(folder / "one-type")


TWO = [Passage("Redis meets svc0", [Span(0, 5, "INFRA"), Span(12, 16, "SERVICE")]), Passage("nothing is here")]
TEACHERS = {
    "untaught": lambda folder: memorized(FACTORY, TWO, steps=0).to_disk(folder / "untaught"),
    "one-type": one_type,
    "step-by-step": lambda folder: memorized("ner", TWO, steps=1).to_disk(folder / "step-by-step"),
    "rules": lambda folder: ruled().to_disk(folder / "rules"),
}


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("untaught", "is not better than"),
        ("one-type", "does not know the entity type(s) SERVICE"),
        ("step-by-step", "does not say how probable each tag of a word is"),
        ("rules", "no recognizer that says how probable each tag of a word is"),
    ],
)
def test_a_teacher_that_can_not_teach_is_refused_and_the_model_stays(folder, first, teacher, words):
    TEACHERS[teacher](folder)
    weights = (first[0].model / "ner/model").read_bytes()
    with pytest.raises(UserError) as raised:
        run(folder, teacher=folder / teacher)
    assert words in raised.value.what
    if teacher == "untaught":
        assert f"F1 0.000 against {first[0].alone_f1:.3f} on the 4 passages" in raised.value.what
    assert (first[0].model / "ner/model").read_bytes() == weights


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"texts": "missing"}, "missing"),
        ({"texts": "empty"}, "empty"),
        ({"texts": "known.txt"}, "There is no passage to label"),
        ({"size": 0}, "`size` is 0"),
        ({"max_words": 0}, "`max_words` is 0"),
        ({"held_out": ["missing.jsonl"]}, "missing.jsonl"),
        ({"teacher": "training/../training/model-best"}, "would take its place"),
    ],
)
def test_what_can_not_be_run_is_refused_before_anything_is_trained(folder, values, words, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "known.txt").write_text(docs_in(folder / "train.spacy")[0].text)
    before = sorted((folder / "training").rglob("*"))
    with pytest.raises(UserError) as raised:
        run(folder, **values)
    assert words in raised.value.what
    assert sorted((folder / "training").rglob("*")) == before


def test_a_config_whose_recognizer_learns_nothing_from_probabilities_is_refused(folder, tmp_path):
    config = (folder / "config.cfg").read_text(encoding="utf8").replace(FACTORY, "ner")
    (tmp_path / "config.cfg").write_text(config, encoding="utf8")
    recipe = Recipe(tmp_path / "config.cfg", folder / "train.spacy", folder / "dev.spacy")
    with pytest.raises(UserError, match="trains no recognizer that learns from another model"):
        distill([folder / "texts"], tmp_path, teacher=folder / "teacher", recipe=recipe)


@pytest.fixture(scope="module")
def teacher():
    return memorized(FACTORY, TWO)


PASSAGES = [Passage(f"Redis meets svc{number}") for number in range(10)]


def test_labelling_continues_where_it_was_killed(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "PER_FILE", 3)

    def killed(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_passages(teacher, teacher, PASSAGES, tmp_path, killed)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.spacy")}
    assert len(files) == 2
    shares = []
    found = label_passages(teacher, teacher, PASSAGES, tmp_path, shares.append)
    assert shares == [0.6, 0.9, 1.0]
    assert [doc.text for doc in found.docs] == [passage.text for passage in PASSAGES]
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_damaged_file_is_labelled_again(teacher, tmp_path):
    first = label_passages(teacher, teacher, PASSAGES, tmp_path)
    [file] = tmp_path.glob("*.spacy")
    file.write_bytes(file.read_bytes()[:100])
    again = label_passages(teacher, teacher, PASSAGES, tmp_path)
    tags = [[doc.user_data[SOFT_TAGS]["tags"].tolist() for doc in found.docs] for found in (first, again)]
    assert tags[0] == tags[1]


def test_passages_of_other_tokens_are_left_out_and_counted(teacher, tmp_path):
    tokenizer = spacy.blank("en")
    tokenizer.tokenizer.add_special_case("svc3", [{"ORTH": "svc"}, {"ORTH": "3"}])
    found = label_passages(teacher, tokenizer, PASSAGES, tmp_path)
    assert (len(found.docs), found.other_tokens) == (9, 1)


def test_entities_that_rules_before_the_recognizer_have_set_are_certain(teacher, tmp_path):
    teacher.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    nlp.add_pipe("entity_ruler", before="ner").add_patterns(
        [{"label": "SERVICE", "pattern": "Redis meets"}, {"label": "TEAM", "pattern": "svc1"}]
    )
    [doc, other] = label_passages(nlp, nlp, PASSAGES[:2], tmp_path / "silver").docs
    packed = doc.user_data[SOFT_TAGS]
    tags = dict(zip(("INFRA", "SERVICE"), (range(1, 5), range(5, 9)), strict=True))
    assert packed["labels"] == ["INFRA", "SERVICE"]
    assert (packed["counts"][:2].tolist(), packed["tags"][:2].tolist()) == (
        [1, 1],
        [tags["SERVICE"][0], tags["SERVICE"][2]],
    )
    # A type that the recognizer does not have is no entity here.
    assert other.user_data[SOFT_TAGS]["tags"][-1] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("pytorch")
def test_a_base_model_is_trained_once_and_labels(folder, tiny, template_configs, tmp_path):
    lines = []
    recipe = Recipe(folder / "config.cfg", folder / "train.spacy", folder / "dev.spacy", max_epochs=1, gpu_id=-1)
    for _ in range(2):
        base_model = f"{tiny('wordpiece-cased')}@huggingface"
        model = find_teacher(base_model, recipe, tmp_path / "teacher", template_configs, lines.append)
    assert [line.split(base_model)[1][:12] for line in lines] == [" is trained,", " was trained"]
    nlp = load_model(model)
    found = label_passages(
        nlp, load_tokenizing_pipeline(tmp_path / "teacher/config.cfg"), PASSAGES, tmp_path / "silver"
    )
    for doc in found.docs:
        shares = unpack_tags(doc.user_data[SOFT_TAGS], doc, {"INFRA": 0, "SERVICE": 1})
        [expected] = nlp.get_pipe("spacy_domain_ner_huggingface").tag_probabilities([nlp.make_doc(doc.text)])
        numpy.testing.assert_allclose(shares, expected, atol=0.02)
