"""The tagging recognizer: its sums against counting every sequence, and what a spaCy component must do."""

import itertools
import subprocess
import sys
import warnings

import numpy
import pytest
import spacy
from helpers.memorized import examples_of, memorized
from spacy.tokens import Doc, DocBin
from spacy.tokens import Span as Underlying
from spacy.training import Example

from spacy_domain_ner.components.biluo_ner import (
    FACTORY,
    SOFT_TAGS,
    BatchEntity,
    BiluoNER,
    Lattice,
    pack_tags,
    unpack_tags,
)
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.tokenization import customize_tokenizer

PASSAGES = [
    Passage("checkout-api calls Redis", [Span(0, 12, "SERVICE"), Span(19, 24, "INFRA")]),
    Passage("nothing is here"),
    Passage("the billing api is slow", [Span(4, 15, "SERVICE")]),
    Passage("Kafka and Redis", [Span(0, 5, "INFRA"), Span(10, 15, "INFRA")]),
]
TEXTS = [passage.text for passage in PASSAGES]


def well_formed(tags: tuple[int, ...]) -> bool:
    inside = None
    for tag in tags:
        label, part = divmod(tag - 1, 4)
        if inside is None:
            if tag and part in (1, 2):
                return False
            inside = label if tag and part == 0 else None
        elif not tag or label != inside or part in (0, 3):
            return False
        elif part == 2:
            inside = None
    return inside is None


def entities(tags: tuple[int, ...]) -> list[tuple[int, int, int]]:
    found, start = [], 0
    for number, tag in enumerate(tags):
        label, part = divmod(tag - 1, 4)
        if tag and part in (0, 3):
            start = number
        if tag and part in (2, 3):
            found.append((start, number + 1, label))
    return found


@pytest.fixture(params=range(20))
def batch(request):
    """Scores of three docs with up to four tokens, and every well-formed sequence of each with its weight."""
    draw = numpy.random.default_rng(request.param)
    types = 1 + request.param % 2
    scores = [draw.normal(0, 2, (draw.integers(1, 5), 1 + 4 * types)).astype("f") for _ in range(3)]
    sequences = [
        [tags for tags in itertools.product(range(1 + 4 * types), repeat=len(rows)) if well_formed(tags)]
        for rows in scores
    ]
    weights = [
        numpy.array([rows[numpy.arange(len(rows)), tags].sum(dtype="d") for tags in of_doc])
        for rows, of_doc in zip(scores, sequences, strict=True)
    ]
    return scores, sequences, weights


def lattice(scores) -> Lattice:
    return Lattice(numpy, scores, [numpy.zeros(len(rows), "?") for rows in scores])


def test_the_best_sequence_is_that_of_the_highest_weight(batch):
    scores, sequences, weights = batch
    found = {number: [] for number in range(3)}
    for number, start, end, label in lattice(scores).best():
        found[number].append((start, end, label))
    for number in range(3):
        assert sorted(found[number]) == entities(sequences[number][weights[number].argmax()])


def test_the_loss_and_its_gradient_are_those_of_all_sequences(batch):
    scores, sequences, weights = batch
    draw = numpy.random.default_rng(1)
    # One token of the first doc may be anything, all others are given.
    gold = [of_doc[draw.integers(len(of_doc))] for of_doc in sequences]
    allowed = [numpy.eye(rows.shape[1], dtype="?")[list(tags)] for rows, tags in zip(scores, gold, strict=True)]
    allowed[0][0] = True
    loss, gradients = lattice(scores).loss(allowed)
    wanted = 0.0
    for number, (rows, of_doc, of_weights) in enumerate(zip(scores, sequences, weights, strict=True)):
        right = [all(allowed[number][token, tag] for token, tag in enumerate(tags)) for tags in of_doc]
        every, those = numpy.logaddexp.reduce(of_weights), numpy.logaddexp.reduce(of_weights[right])
        wanted += every - those
        shares = numpy.zeros_like(rows)
        for tags, weight, is_right in zip(of_doc, of_weights, right, strict=True):
            share = numpy.exp(weight - every) - (numpy.exp(weight - those) if is_right else 0)
            shares[numpy.arange(len(rows)), tags] += share
        numpy.testing.assert_allclose(gradients[number], shares, atol=1e-4)
    assert loss == pytest.approx(wanted, abs=1e-3)


def test_an_entitys_probability_is_the_share_of_the_sequences_that_have_it(batch):
    scores, sequences, weights = batch
    every = [
        BatchEntity(number, *entity)
        for number, of_doc in enumerate(sequences)
        for entity in sorted({entity for tags in of_doc for entity in entities(tags)})
    ]
    for (number, *entity), share in zip(every, lattice(scores).probabilities(every), strict=True):
        those = [tuple(entity) in entities(tags) for tags in sequences[number]]
        total = numpy.logaddexp.reduce(weights[number])
        assert share == pytest.approx(numpy.exp(numpy.logaddexp.reduce(weights[number][those]) - total), abs=1e-4)


def test_how_far_a_probability_is_from_one_is_exact():
    # 40 tokens whose O is all but certain, and an entity that is by 14 less sure than nothing.
    scores = numpy.full((40, 5), -30, "f")
    scores[:, 0] = 17.3
    scores[20, 4] = 17.3 + 14
    [share] = lattice([scores]).probabilities([BatchEntity(0, 20, 21, 0)])
    assert 1 - share == pytest.approx(numpy.exp(-14), rel=1e-3)


def test_what_the_annotation_can_not_be_teaches_nothing():
    # An I behind an O.
    allowed = numpy.eye(5, dtype="?")[[0, 2, 0]]
    loss, [gradient] = lattice([numpy.ones((3, 5), "f")]).loss([allowed])
    assert loss == 0
    assert not gradient.any()


def test_no_entity_begins_or_ends_with_a_blank():
    scores = numpy.zeros((3, 5), "f")
    scores[:, 1:] = 5
    blanks = numpy.array([True, False, True])
    [(_, start, end, _)] = Lattice(numpy, [scores], [blanks]).best()
    assert (start, end) == (1, 2)


@pytest.fixture(scope="module")
def trained():
    # By default spaCy's tokenizer divides "checkout-api" in three.
    return memorized(FACTORY, PASSAGES)


def found(docs):
    return [[Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]


def test_it_learns_what_it_is_shown(trained):
    assert found(trained.pipe(TEXTS)) == [passage.spans for passage in PASSAGES]
    assert trained.evaluate(examples_of(trained, PASSAGES))["ents_f"] == 1.0
    assert trained.get_pipe("ner").labels == ("INFRA", "SERVICE")


def test_docs_of_any_length_in_one_batch_are_as_each_alone(trained):
    texts = ["", " ", "Redis", " ".join(TEXTS), *TEXTS]
    assert found(trained.pipe(texts)) == found(map(trained, texts))


def test_a_text_of_thirty_thousand_tokens_is_read_to_its_end(trained):
    [entities] = found([trained("Kafka and Redis " * 10_000)])
    assert len(entities) > 15_000
    assert entities[-1].end > 159_000


def test_what_it_is_sure_of_has_a_high_probability(trained):
    docs = [trained.make_doc(text) for text in (TEXTS[0], "", "Zebra over Redis")]
    sure, empty, _ = trained.get_pipe("ner").probabilities(docs)
    assert {(docs[0][start:end].text, label) for start, end, label in sure} == {
        ("checkout-api", "SERVICE"), ("Redis", "INFRA"),
    }  # fmt: skip
    assert all(0.8 < share <= 1 for share in sure.values())
    assert empty == {}


def test_it_comes_back_from_disk_and_from_bytes(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    assert found(spacy.load(tmp_path / "model").pipe(TEXTS)) == found(trained.pipe(TEXTS))
    again = spacy.blank("en")
    again.add_pipe(FACTORY, name="ner")
    again.from_bytes(trained.to_bytes())
    assert found(again.pipe(TEXTS)) == found(trained.pipe(TEXTS))


def test_a_trained_one_learns_a_further_label_and_keeps_what_it_knew(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    ner = nlp.get_pipe("ner")
    assert (ner.add_label("INFRA"), ner.add_label("VERB"), ner.labels) == (0, 1, ("INFRA", "SERVICE", "VERB"))
    more = Passage(TEXTS[0], sorted([*PASSAGES[0].spans, Span(13, 18, "VERB")]))
    examples = examples_of(nlp, [*PASSAGES, more])
    optimizer = nlp.resume_training()
    for _ in range(30):
        nlp.update(examples[1:], sgd=optimizer)
    assert found(map(nlp, [TEXTS[0], TEXTS[3]])) == [more.spans, PASSAGES[3].spans]
    nlp.to_disk(tmp_path / "again")
    assert spacy.load(tmp_path / "again").get_pipe("ner").labels == ("INFRA", "SERVICE", "VERB")


def test_the_loss_of_what_is_wrong_is_that_of_all_sequences_without_it(batch):
    scores, sequences, weights = batch
    every = [
        BatchEntity(number, *entity)
        for number, of_doc in enumerate(sequences)
        for entity in sorted({entity for tags in of_doc for entity in entities(tags)})
    ]
    wanted = 0.0
    loss, gradients = lattice(scores).loss_of_wrong(every)
    for (number, *entity), gradient in zip(every, gradients, strict=True):
        tags_of, of_weights, rows = sequences[number], weights[number], scores[number]
        right = numpy.array([tuple(entity) not in entities(tags) for tags in tags_of])
        total, rest = numpy.logaddexp.reduce(of_weights), numpy.logaddexp.reduce(of_weights[right])
        wanted += total - rest
        shares = numpy.zeros(rows.shape, "d")
        for tags, weight, is_right in zip(tags_of, of_weights, right, strict=True):
            share = numpy.exp(weight - total) - (numpy.exp(weight - rest) if is_right else 0)
            shares[numpy.arange(len(rows)), tags] += share
        if total - rest < 5:  # above it is cut off
            numpy.testing.assert_allclose(gradient, shares, atol=1e-4, rtol=1e-3)
    assert loss == pytest.approx(wanted, rel=0.05)


def test_a_rejected_span_is_unlearned(trained, tmp_path):
    """A rejected row says only that: all other tokens are without annotation."""
    trained.to_disk(tmp_path / "model")
    config = {"components": {"ner": {"incorrect_spans_key": "rejected"}}}
    nlp = spacy.load(tmp_path / "model", config=config)
    text = TEXTS[0]
    reference = nlp.make_doc(text)
    reference.set_ents([], default="missing")
    reference.spans["rejected"] = [reference.char_span(19, 24, label="INFRA")]
    before = nlp.get_pipe("ner").probabilities([nlp.make_doc(text)])[0]
    optimizer = nlp.resume_training()
    for _ in range(60):
        nlp.update([Example(nlp.make_doc(text), reference)], sgd=optimizer)
    [service, infra] = PASSAGES[0].spans
    assert service in found([nlp(text)])[0]
    assert infra not in found([nlp(text)])[0]
    assert {label for *_, label in before} == {"SERVICE", "INFRA"}


def test_each_entity_has_its_confidence_and_calibration_changes_nothing_else(trained, tmp_path):
    text = TEXTS[0]
    plain = {ent.text: ent._.confidence for ent in trained(text).ents}
    assert all(0.8 < confidence <= 1 for confidence in plain.values())
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    assert nlp.get_pipe("ner").calibration is None
    nlp.get_pipe("ner").calibration = {"slope": 1.0, "intercept": -3.0}
    nlp.to_disk(tmp_path / "calibrated")
    again = spacy.load(tmp_path / "calibrated")
    lower = {ent.text: ent._.confidence for ent in again(text).ents}
    assert again.get_pipe("ner").calibration == {"slope": 1.0, "intercept": -3.0}
    assert lower == {
        name: pytest.approx(1 / (1 + (1 - share) / share * numpy.exp(3)), abs=1e-6) for name, share in plain.items()
    }


def test_examples_without_any_entity_are_refused():
    nlp = spacy.blank("en")
    nlp.add_pipe(FACTORY)
    with pytest.raises(ValueError, match="has nothing to learn"):
        nlp.initialize(lambda: examples_of(nlp, [PASSAGES[1]]))


def test_tokens_without_annotation_teach_nothing():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe(FACTORY)
    nlp.initialize(lambda: examples_of(nlp, PASSAGES))
    doc = nlp.make_doc("checkout-api calls Redis")
    reference = Doc(nlp.vocab, words=[token.text for token in doc], spaces=[bool(t.whitespace_) for t in doc])
    reference.set_ents([], default="missing")
    scores = pipe.model.predict([doc])
    loss, [gradient] = pipe.get_loss([Example(doc, reference)], scores)
    assert loss == pytest.approx(0, abs=1e-4)
    numpy.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_equal_tokens_teach_the_same_as_tokens_that_have_to_be_aligned(trained, seed):
    pipe = trained.get_pipe("ner")
    draw = numpy.random.default_rng(seed)
    words = [str(draw.choice(["a", "Redis", "billing-api", "\n", "7"])) for _ in range(draw.integers(1, 9))]
    spaces = draw.random(len(words)) < 0.5
    reference = Doc(trained.vocab, words, list(spaces))
    parts = {"entity": [], "missing": [], "outside": []}
    start = 0
    while start < len(words):
        end = min(len(words), start + int(draw.integers(1, 4)))
        # COUNTRY is a type that the model does not have.
        label = str(draw.choice(["SERVICE", "INFRA", "COUNTRY"]))
        parts[str(draw.choice(list(parts)))].append(Underlying(reference, start, end, label))
        start = end
    reference.set_ents(parts["entity"], missing=parts["missing"], outside=parts["outside"])
    # Another blank at the end is enough for it to align the tokens.
    same, other = (Doc(trained.vocab, words, [*spaces[:-1], last]) for last in (spaces[-1], not spaces[-1]))
    scores = [draw.normal(0, 2, (len(words), 9)).astype("f")]
    loss, [gradient] = pipe.get_loss([Example(same, reference)], scores)
    expected, [aligned] = pipe.get_loss([Example(other, reference)], scores)
    assert loss == pytest.approx(expected)
    numpy.testing.assert_array_equal(gradient, aligned)


def test_training_goes_on_from_a_trained_pipeline(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    examples = examples_of(nlp, [Passage("Redis calls billing api", [Span(12, 23, "SERVICE")])])
    optimizer = nlp.resume_training()
    losses = [nlp.update(examples, sgd=optimizer)[nlp.pipe_names[0]] for _ in range(10)]
    assert losses[-1] < losses[0]


def loaded(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    return spacy.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("factory", "config"), [("entity_ruler", {}), ("span_ruler", {"annotate_ents": True, "spans_key": None})]
)
def test_it_predicts_around_what_an_earlier_component_has_found(trained, tmp_path, factory, config):
    nlp = loaded(trained, tmp_path)
    patterns = [
        {"label": "TEAM", "pattern": "api calls", "id": "of the rule"},
        {"label": "LIBRARY", "pattern": "Kafka"},
    ]
    nlp.add_pipe(factory, before="ner", config=config).add_patterns(patterns)
    # The rule's entity crosses the one that the model would find.
    first, second = nlp.pipe([TEXTS[0], TEXTS[3]])
    entities = {ent.text: ent for ent in first.ents}
    assert {"api calls", "Redis"} <= set(entities) <= {"checkout", "-", "checkout-", "api calls", "Redis"}
    assert (entities["api calls"].label_, entities["api calls"].ent_id_) == ("TEAM", "of the rule")
    assert (entities["Redis"].label_, entities["Redis"].ent_id_) == ("INFRA", "")
    assert entities["api calls"]._.confidence is None
    assert entities["Redis"]._.confidence > 0.5
    assert [(ent.text, ent.label_) for ent in second.ents] == [("Kafka", "LIBRARY"), ("Redis", "INFRA")]


def test_links_and_blocked_tokens_stay_and_what_was_removed_leaves_nothing(trained):
    doc = trained.make_doc(TEXTS[3])
    doc.ents = [Underlying(doc, 0, 1, label="LIBRARY", kb_id="Q1", span_id="removed later")]
    doc.ents = []
    doc.set_ents([Underlying(doc, 1, 2, label="WORD", kb_id="Q2")], blocked=[doc[2:3]])
    trained.get_pipe("ner")(doc)
    assert [(ent.text, ent.label_, ent.kb_id_, ent.ent_id_) for ent in doc.ents] == [
        ("Kafka", "INFRA", "", ""), ("and", "WORD", "Q2", ""),
    ]  # fmt: skip
    assert [token.ent_iob_ for token in doc] == ["B", "B", "B"]


def test_around_taken_tokens_the_best_sequence_and_the_probabilities_are_those_of_all_that_leave_them_out(batch):
    scores, sequences, weights = batch
    draw = numpy.random.default_rng(2)
    taken = [draw.random(len(rows)) < 0.4 for rows in scores]
    around = Lattice(numpy, scores, [numpy.zeros(len(rows), "?") for rows in scores], taken)
    best = set(around.best())
    for number, fixed in enumerate(taken):
        left = [place for place, tags in enumerate(sequences[number]) if not any(numpy.array(tags)[fixed])]
        tags_of, of_weights = [sequences[number][place] for place in left], weights[number][left]
        assert {entity[1:] for entity in best if entity.doc == number} == set(entities(tags_of[of_weights.argmax()]))
        every = sorted({entity for tags in sequences[number] for entity in entities(tags)})
        asked = [BatchEntity(number, *entity) for entity in every]
        total = numpy.logaddexp.reduce(of_weights)
        for entity, share in zip(every, around.probabilities(asked), strict=True):
            those = of_weights[[entity in entities(tags) for tags in tags_of]]
            wanted = numpy.exp(numpy.logaddexp.reduce(those) - total) if len(those) else 0
            assert share == pytest.approx(wanted, abs=1e-4)


def test_the_expected_number_of_entities_is_the_mean_over_all_sequences(batch):
    scores, sequences, weights = batch
    draw = numpy.random.default_rng(3)
    types = (scores[0].shape[1] - 1) // 4
    taken = [draw.random(len(rows)) < 0.3 for rows in scores]
    blanks = [draw.random(len(rows)) < 0.3 for rows in scores]
    counts = Lattice(numpy, scores, blanks, taken).expected()
    for number, (fixed, blank) in enumerate(zip(taken, blanks, strict=True)):
        wanted, total = numpy.zeros(types), 0.0
        for tags, weight in zip(sequences[number], numpy.exp(weights[number]), strict=True):
            those = entities(tags)
            at_blanks = any(blank[start] or blank[end - 1] for start, end, _ in those)
            if not at_blanks and not any(numpy.array(tags)[fixed]):
                total += weight
                for _, _, label in those:
                    wanted[label] += weight
        numpy.testing.assert_allclose(counts[number], wanted / total, atol=1e-4)


def test_what_is_expected_is_about_what_is_found_before_and_after_it_was_set(trained):
    component = trained.get_pipe("ner")
    fresh = component.expected([trained.make_doc(text) for text in [*TEXTS, ""]])
    assert [{label: round(count) for label, count in counts.items()} for counts in fresh] == [
        {"INFRA": 1, "SERVICE": 1}, {"INFRA": 0, "SERVICE": 0}, {"INFRA": 0, "SERVICE": 1}, {"INFRA": 2, "SERVICE": 0},
        {"INFRA": 0, "SERVICE": 0},
    ]  # fmt: skip
    again = component.expected(list(trained.pipe([*TEXTS, ""])))
    for before, after in zip(fresh, again, strict=True):
        assert after == pytest.approx(before, abs=1e-5)


def test_what_others_have_set_is_not_expected(trained):
    doc = trained.make_doc("Kafka and Redis")
    doc.set_ents([Underlying(doc, 0, 1, label="WORD")], blocked=[doc[1:2]])
    [counts] = trained.get_pipe("ner").expected([doc])
    assert round(counts["INFRA"]) == 1


def test_the_expected_number_is_multiplied_by_the_factor_of_its_type_or_else_of_all(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    component = spacy.load(tmp_path / "model").get_pipe("ner")
    docs = [trained.make_doc(TEXTS[0])]
    [own] = component.expected(docs)
    component.calibration = {"slope": 1.0, "intercept": 0.0, "expected": {"": 0.5, "INFRA": 3.0}}
    [after] = component.expected(docs)
    assert after == pytest.approx({"INFRA": own["INFRA"] * 3, "SERVICE": own["SERVICE"] / 2})
    # As a model of an earlier version keeps it.
    component.calibration = {"slope": 2.0, "intercept": 1.0, "thresholds": {}}
    assert component.expected(docs) == [own]


def test_a_confidence_belongs_to_a_span_with_its_type(trained, tmp_path):
    nlp = loaded(trained, tmp_path)
    rules = nlp.add_pipe("entity_ruler", config={"overwrite_ents": True})
    rules.add_patterns([{"label": "LIBRARY", "pattern": "Redis"}])
    confidence = {ent.text: ent._.confidence for ent in nlp(TEXTS[0]).ents}
    assert confidence == {"checkout-api": pytest.approx(0.9, abs=0.1), "Redis": None}


def test_confidences_move_with_the_doc(trained):
    doc = trained(f"{TEXTS[1]} {TEXTS[0]}")
    [service, infra] = doc.ents
    for copy in (
        next(DocBin(docs=[doc], store_user_data=True).get_docs(trained.vocab)),
        doc[3:].as_doc(copy_user_data=True),
        Doc.from_docs([trained(TEXTS[1]), doc]),
    ):
        assert [ent._.confidence for ent in copy.ents] == [service._.confidence, infra._.confidence]


def test_where_an_earlier_version_was_imported_first_the_type_counts_all_the_same():
    script = (
        "from spacy.tokens import Span\n"
        "Span.set_extension('confidence', default=None)\n"
        "import spacy\n"
        f"import {BiluoNER.__module__}\n"
        "doc = spacy.blank('en')('Redis')\n"
        "Span(doc, 0, 1, label='INFRA')._.confidence = 0.5\n"
        "print([Span(doc, 0, 1, label=label)._.confidence for label in ('INFRA', 'LIBRARY')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0.5, None]"


def test_taken_into_another_pipeline_it_warns_once_that_the_tokenizer_does_not_come_along(trained, tmp_path):
    nlp = loaded(trained, tmp_path)
    customize_tokenizer(nlp.tokenizer)
    same, other = spacy.blank("en"), spacy.blank("en")
    same.tokenizer.from_bytes(nlp.tokenizer.to_bytes(exclude=["vocab"]))
    same.add_pipe("ner", source=nlp)
    other.add_pipe("ner", source=nlp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found(same.pipe(TEXTS)) == found(nlp.pipe(TEXTS))
        # Both tokenizers divide this text in the same way.
        other(TEXTS[3])
    with pytest.warns(UserWarning, match="tokenizer did not come along") as warned:
        found(map(other, [*TEXTS, *TEXTS]))
    assert len(warned) == 1


def test_the_uncertainty_of_a_token_is_that_over_all_sequences(batch):
    scores, sequences, weights = batch
    found = lattice(scores).uncertainty()
    for number, (tags_of, of_weights, rows) in enumerate(zip(sequences, weights, scores, strict=True)):
        shares = numpy.zeros(rows.shape, "d")
        total = numpy.logaddexp.reduce(of_weights)
        for tags, weight in zip(tags_of, of_weights, strict=True):
            shares[numpy.arange(len(rows)), tags] += numpy.exp(weight - total)
        entropy = -(shares * numpy.log(numpy.maximum(shares, 1e-12))).sum(axis=1)
        inside = shares[:, 1:].reshape(len(rows), -1, 4).sum(axis=2)
        wanted = numpy.concatenate([entropy[:, None], inside], axis=1)
        numpy.testing.assert_allclose(found[: len(rows), number], wanted, atol=1e-4)


def test_a_tags_probability_is_the_share_of_the_sequences_that_have_it(batch):
    scores, sequences, weights = batch
    found = lattice(scores).tag_probabilities()
    for number, (rows, of_doc, of_weights) in enumerate(zip(scores, sequences, weights, strict=True)):
        numpy.testing.assert_allclose(found[: len(rows), number], tag_shares(rows, of_doc, of_weights), atol=1e-4)


def test_the_loss_of_soft_tags_is_the_cross_entropy_with_the_other_models_sequences(batch):
    scores, sequences, weights = batch
    other = [rows[::-1] * 0.7 for rows in scores]
    of_other = [
        numpy.array([rows[numpy.arange(len(rows)), tags].sum(dtype="d") for tags in of_doc])
        for rows, of_doc in zip(other, sequences, strict=True)
    ]
    soft = {0: tag_shares(other[0], sequences[0], of_other[0]), 2: tag_shares(other[2], sequences[2], of_other[2])}
    anything = [numpy.ones(rows.shape, "?") for rows in scores]
    loss, gradients = lattice(scores).loss(anything, soft)
    wanted = 0.0
    for number, target in soft.items():
        log_shares = weights[number] - numpy.logaddexp.reduce(weights[number])
        those = numpy.exp(of_other[number] - numpy.logaddexp.reduce(of_other[number]))
        wanted -= float(those @ log_shares)
        own = tag_shares(scores[number], sequences[number], weights[number])
        numpy.testing.assert_allclose(gradients[number], own - target, atol=1e-4)
    assert loss == pytest.approx(wanted, abs=1e-3)
    # The doc without soft tags may be anything.
    numpy.testing.assert_allclose(gradients[1], 0, atol=1e-6)


def tag_shares(rows, sequences, weights):
    shares = numpy.zeros(rows.shape, "d")
    for tags, weight in zip(sequences, weights, strict=True):
        shares[numpy.arange(len(rows)), tags] += numpy.exp(weight - numpy.logaddexp.reduce(weights))
    return shares


def test_soft_tags_come_back_from_a_docbin_for_types_in_another_order(trained):
    draw = numpy.random.default_rng(0)
    shares = draw.dirichlet([0.1] * 9, size=4)
    doc = trained.make_doc("Kafka runs on Redis")
    doc.user_data[SOFT_TAGS] = pack_tags(["INFRA", "COUNTRY"], shares)
    [back] = DocBin(store_user_data=True).from_bytes(
        DocBin(docs=[doc], store_user_data=True).to_bytes()
    ).get_docs(trained.vocab)  # fmt: skip
    found = unpack_tags(back.user_data[SOFT_TAGS], back, {"SERVICE": 0, "INFRA": 1})
    numpy.testing.assert_allclose(found[:, 5:9], shares[:, 1:5], atol=0.03)
    # What is thought of a type that is not known here counts as O.
    numpy.testing.assert_allclose(found[:, 0], shares[:, 0] + shares[:, 5:].sum(axis=1), atol=0.03)
    assert not found[:, 1:5].any()
    numpy.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-3)
    assert not any(token.ent_iob for token in back)


def test_soft_tags_of_other_tokens_are_refused(trained):
    packed = pack_tags(["INFRA"], numpy.ones((3, 5)))
    with pytest.raises(ValueError, match="3 tokens were given to one that has 2"):
        unpack_tags(packed, trained.make_doc("two tokens"), {"INFRA": 0})


def test_it_learns_from_what_another_one_thinks(trained, tmp_path):
    trained.to_disk(tmp_path)
    teacher = spacy.load(tmp_path)
    examples = []
    for text in TEXTS:
        doc = teacher.make_doc(text)
        doc.user_data[SOFT_TAGS] = pack_tags(
            teacher.get_pipe("ner").labels, teacher.get_pipe("ner").tag_probabilities([doc])[0]
        )
        examples.append(Example(teacher.make_doc(text), doc))
    student = spacy.blank("en")
    student.tokenizer = teacher.tokenizer
    pipe = student.add_pipe(FACTORY)
    student.initialize(lambda: examples_of(student, PASSAGES[:1]))
    optimizer = student.resume_training()
    for _ in range(40):
        student.update(examples, sgd=optimizer)
    learned, wanted = (
        [model.get_pipe(name).tag_probabilities([model.make_doc(text)])[0] for text in TEXTS]
        for model, name in ((student, FACTORY), (teacher, "ner"))
    )
    order = [0, *(1 + 4 * teacher.get_pipe("ner").labels.index(label) + n for label in pipe.labels for n in range(4))]
    for own, others in zip(learned, wanted, strict=True):
        numpy.testing.assert_allclose(own, others[:, order], atol=0.1)
