"""From passages to what spaCy trains on."""

from collections import Counter

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin

from spacy_domain_ner.corpus import Passage, Span, write_passages
from spacy_domain_ner.corpus.spacy_docs import convert, load_tokenizing_pipeline, misaligned_spans, to_doc, write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training.recipe import read_set

NLP = spacy.blank("en")
TEXT = "Redis and Kafka-based queues"


@pytest.mark.parametrize(
    ("span", "tokens"),
    [
        (Span(0, 5, "A"), None),
        (Span(0, 15, "A"), None),
        (Span(0, 3, "A"), ["Redis"]),
        (Span(2, 12, "A"), ["Redis", "and", "Kafka"]),
        (Span(0, 6, "A"), ["Redis"]),
        (Span(5, 5, "A"), []),
        (Span(9, 2, "A"), ["Redis", "and"]),
        (Span(-5, 5, "A"), ["Redis"]),
        (Span(0, 999, "A"), ["Redis", "and", "Kafka", "-", "based", "queues"]),
        (Span(0, 10**30, "A"), ["Redis", "and", "Kafka", "-", "based", "queues"]),
    ],
)
def test_a_span_that_misses_token_boundaries_is_given_with_the_tokens_it_touches(span, tokens):
    missed = list(misaligned_spans(NLP.make_doc(TEXT), [span]))
    if tokens is None:
        assert missed == []
    elif span.start < span.end:
        assert missed == [(span, tokens)]
    else:
        assert [found for found, _ in missed] == [span]


def test_the_tokens_of_a_misaligned_span_are_missing_and_not_outside():
    doc = to_doc(NLP, Passage(TEXT, [Span(0, 5, "INFRA"), Span(10, 13, "INFRA")]))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Redis", "INFRA")]
    assert [token.ent_iob_ or "missing" for token in doc] == ["B", "O", "missing", "O", "O", "O"]


def test_the_tokens_of_unknown_parts_are_missing_except_where_they_are_annotated():
    passage = Passage(TEXT, [Span(0, 5, "INFRA")], unknown=[Span(3, 8, ""), Span(11, 12, "TOOL"), Span(90, 99, "")])
    assert [token.ent_iob_ or "missing" for token in to_doc(NLP, passage)] == ["B", "missing", "missing", "O", "O", "O"]


def test_files_are_converted_beside_themselves_and_what_training_can_not_use_is_given(tmp_path):
    (tmp_path / "config.cfg").write_text('[nlp]\nlang = "en"\n')
    lost = Span(0, 3, "INFRA")
    write_passages(tmp_path / "train.jsonl", [Passage(TEXT, [Span(0, 5, "INFRA")]), Passage(TEXT, [lost])])
    write_passages(tmp_path / "dev.jsonl", [])
    train, dev = convert([tmp_path / "train.jsonl", tmp_path / "dev.jsonl"], tmp_path / "config.cfg")
    assert (train.path, train.passages) == (tmp_path / "train.spacy", 2)
    assert [(passage.line, span, tokens) for passage, span, tokens in train.missed] == [(2, lost, ["Redis"])]
    assert (dev.path, dev.passages, dev.missed) == (tmp_path / "dev.spacy", 0, [])
    assert len(DocBin().from_disk(train.path)) == 2
    [same] = convert(str(tmp_path / "train.jsonl"), tmp_path / "config.cfg")
    assert same.path == train.path


def test_a_passage_without_spans_teaches_that_there_is_no_entity():
    assert {token.ent_iob_ for token in to_doc(NLP, Passage(TEXT))} == {"O"}


@given(
    text=st.text(st.sampled_from("aB1 -.\n\t\u00a0🚀é"), min_size=1, max_size=30),
    offsets=st.lists(st.tuples(st.integers(-3, 35), st.integers(-3, 35)), max_size=6),
)
def test_any_spans_make_a_doc_whose_entities_are_among_them(text, offsets):
    spans = [Span(start, end, "A") for start, end in offsets]
    doc = to_doc(NLP, Passage(text, spans))
    assert doc.text == text
    assert {Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents} <= set(spans)


def test_docs_are_written_and_what_can_not_be_learned_is_returned(tmp_path):
    lost = [Span(10, 13, "INFRA"), Span(0, 5, "SERVICE"), Span(0, 10**20, "INFRA"), Span(-4, 2, "INFRA")]
    passage = Passage(TEXT, [Span(0, 9, "INFRA"), *lost])
    missed = write_docs(NLP, [passage, Passage("")], tmp_path / "new/train.spacy")
    assert [span for _, span, _ in missed] == lost
    assert missed[0][2] == ["Kafka"]
    first, second = DocBin().from_disk(tmp_path / "new/train.spacy").get_docs(NLP.vocab)
    assert [(ent.text, ent.label_) for ent in first.ents] == [("Redis and", "INFRA")]
    assert len(second) == 0


def test_the_same_passages_make_the_same_bytes(tmp_path, passages):
    for name in ("a.spacy", "b.spacy"):
        write_docs(spacy.blank("en"), passages, tmp_path / name)
    assert (tmp_path / "a.spacy").read_bytes() == (tmp_path / "b.spacy").read_bytes()


def test_the_pipeline_tokenizes_as_one_trained_with_the_config(cnn_config):
    pipeline = load_tokenizing_pipeline(cnn_config)
    assert pipeline.lang == "en"
    assert pipeline.pipe_names == []
    assert [token.text for token in pipeline("Redis is down")] == ["Redis", "is", "down"]


def test_the_callback_of_the_config_is_applied(cnn_config):
    @spacy.registry.callbacks("test_docs.letters.v1")
    def create():
        def customize(nlp):
            nlp.tokenizer.infix_finditer = None
            nlp.tokenizer.rules = {}
            nlp.tokenizer.prefix_search = lambda text: None
            nlp.tokenizer.suffix_search = lambda text: None
            return nlp

        return customize

    text = cnn_config.read_text().replace(
        'spacy_domain_ner.customize_tokenizer.v2"\nrules = ["software"]', 'test_docs.letters.v1"'
    )
    cnn_config.write_text(text)
    assert [token.text for token in load_tokenizing_pipeline(cnn_config)("(a),b! c")] == ["(a),b!", "c"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('lang = "en"', 'lang = "qq"', "language qq"),
        ('lang = "en"', "lang = null", "language None"),
        ("[nlp]", "[npl]", "nlp"),
        ("[nlp]", '[nlp]\nlang = "de"', "'lang' in section 'nlp' already exists"),
        ("[nlp]", "[training]\n[nlp]", "section 'training' already exists"),
        ("customize_tokenizer.v2", "customise.v1", "Could not find function 'spacy_domain_ner.customise.v1'"),
        ("[initialize.before_init]\n@callbacks", "before_init = 3\n# ", "not callable"),
        ("[paths]", "paths", "no section headers"),
    ],
)
def test_a_config_that_makes_no_tokenizer_is_named_with_the_reason(cnn_config, old, new, expected):
    text = cnn_config.read_text()
    assert old in text
    cnn_config.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as raised:
        load_tokenizing_pipeline(cnn_config)
    assert str(cnn_config) in raised.value.what
    assert expected in raised.value.what
    assert raised.value.hint


@pytest.mark.parametrize("content", [b"", b"\xe9", bytes(range(256)), None], ids=["empty", "latin-1", "binary", "none"])
def test_a_file_that_is_no_config_is_named(tmp_path, content):
    path = tmp_path / "cnn.cfg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"cnn\.cfg"):
        load_tokenizing_pipeline(path)


@pytest.mark.parametrize("part", ["config.cfg", "meta.json", "tokenizer", "vocab/strings.json", "vocab/vectors"])
@pytest.mark.parametrize("cut", [0, 0.5])
def test_a_damaged_model_is_refused_with_its_name(tmp_path, part, cut):
    NLP.to_disk(tmp_path / "model")
    path = tmp_path / "model" / part
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(UserError, match=r"model' can't be loaded: \S") as raised:
        load_model(tmp_path / "model")
    assert "training/model-best" in raised.value.hint


@pytest.mark.parametrize("name", ["en_no_such_model", "", "."])
def test_a_model_that_is_not_there_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="can't be loaded"):
        load_model(name)


def test_what_is_known_to_be_wrong_is_in_the_spans_of_the_doc_and_comes_back(tmp_path):
    nlp = spacy.blank("en")
    passage = Passage(
        "Redis is down again", unknown=[Span(0, 19, "")], incorrect=[Span(0, 5, "INFRA"), Span(9, 12, "INFRA")]
    )
    doc = to_doc(nlp, passage)
    assert [(span.text, span.label_) for span in doc.spans["incorrect"]] == [("Redis", "INFRA")]
    write_docs(nlp, [passage, Passage("Kafka", [Span(0, 5, "INFRA")])], tmp_path / "train.spacy")
    first, second = read_set(tmp_path / "train.spacy")
    assert (first.incorrect, second.incorrect) == ([Span(0, 5, "INFRA")], [])


@pytest.mark.parametrize(
    ("silver", "starter", "own", "times"),
    [
        (0, 0, 3, (1, 1, 1)),
        (1, 0, 3, (1, 1, 1)),
        (6, 0, 3, (1, 1, 4)),
        (90, 0, 3, (1, 1, 8)),
        (4, 0, 0, (1, 1, 1)),
        (0, 9, 0, (1, 1, 1)),
        (0, 9, 3, (1, 1, 6)),
        (0, 9, 90, (1, 1, 1)),
        (0, 900, 3, (1, 1, 8)),
        # A pack's passages are to first labels what the user's own are to a pack's.
        (6, 3, 0, (1, 4, 1)),
        (6, 3, 9, (1, 4, 4)),
    ],
)
def test_passages_that_say_more_are_read_more_often(tmp_path, silver, starter, own, times):
    numbers = {"silver": silver, "starter": starter, "own": own}
    passages = [
        Passage(origin, [], {} if origin == "own" else {"origin": origin})
        for origin, number in numbers.items()
        for _ in range(number)
    ]
    expected = {origin: number * many for (origin, number), many in zip(numbers.items(), times, strict=True) if number}
    for name, counts in {"train": expected, "dev": numbers, "eval": numbers}.items():
        write_docs(NLP, passages, tmp_path / f"{name}.spacy")
        texts = Counter(doc.text for doc in DocBin().from_disk(tmp_path / f"{name}.spacy").get_docs(NLP.vocab))
        assert texts == Counter(counts)


def test_convert_says_how_often_training_reads_the_users_own_passages(domain_ner, tmp_path):
    passages = [Passage("Mine")] * 2 + [Passage("Of the pack", [], {"origin": "starter"})] * 5
    for name in ("train", "dev"):
        write_passages(tmp_path / f"{name}.jsonl", passages)
    config = tmp_path / "config.cfg"
    config.write_text('[nlp]\nlang = "en"\n')
    done = domain_ner("convert", tmp_path / "train.jsonl", tmp_path / "dev.jsonl", "--config", config)
    assert done.code == 0, done.err
    assert "each of the 2 passages that are your own 5 times per epoch" in " ".join(done.out.split())
    assert done.out.count("per epoch") == 1
