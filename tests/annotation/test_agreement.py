"""Agreement: cases counted by hand, real exports computed another way, and the verb."""

import json
import re
import zipfile
from collections import Counter, defaultdict
from itertools import combinations, permutations
from pathlib import Path

import pytest
from helpers.agreement import by_definition, group, marked

from spacy_domain_ner.annotation.agreement import TypeAgreement, agreement_of, measure_agreement
from spacy_domain_ner.cli.agreement import disagreement_lines
from spacy_domain_ner.corpus import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.cleaning import CleanVersion
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Policies

EXPORTS = Path(__file__).parents[3] / "shared/data/exports"
LEOKA = EXPORTS / "label_studio_json/leoka_team8_first60.json"
LIVE = EXPORTS / "label_studio_live/api.snapshot-full.json"


@pytest.mark.parametrize(
    ("anna", "bert", "alpha"),
    [
        # Of 4 words, 2 x 4 values: 3 in, 5 out; one word is in dispute: 1 - 7 x 2 / (2 x 3 x 5).
        pytest.param("[Redis|INFRA] on prod now", "[Redis on|INFRA] prod now", 1 - 14 / 30, id="one word more"),
        # The hyphens are words, too: 8 in, 4 out, nothing in dispute.
        pytest.param("on [prod-a|INFRA] now", "on [prod-a|INFRA] now", 1.0, id="the same"),
        # Half of a word counts as the word.
        pytest.param("on [Redis|INFRA] now", "on R[edis|INFRA] now", 1.0, id="inside of a word"),
        # Han has no spaces: 6 words, 12 values, 5 in and 7 out, one in dispute: 1 - 11 x 2 / (2 x 5 x 7).
        pytest.param("我们用[数据库|INFRA]", "我们用数[据库|INFRA]", 1 - 22 / 70, id="a script without spaces"),
    ],
)
def test_alpha_is_over_the_words_of_the_text(anna, bert, alpha):
    result = agreement_of([group(anna=anna, bert=bert)])
    assert result.types["INFRA"].alpha == pytest.approx(alpha)
    assert result.all.alpha == pytest.approx(alpha)


def test_over_all_types_the_value_of_a_word_is_its_type():
    versions = group(anna="[Redis|INFRA] of [Core|TEAM] is down", bert="[Redis|SERVICE] of [Core|TEAM] is down")
    result = agreement_of([versions])
    assert result.all.alpha == pytest.approx(by_definition([["I", "S"], "--", "TT", "--", "--"]))
    assert result.types["TEAM"].alpha == 1.0
    # One word that one of them marked: no better than chance.
    assert result.types["INFRA"].alpha == result.types["SERVICE"].alpha == pytest.approx(0.0)


def test_a_type_that_comes_late_is_measured_over_all_words():
    groups = [group(anna="a b c", bert="a b c"), group(anna="[d|NEW] e", bert="[d|NEW|OLD] e")]
    result = agreement_of(groups)
    assert result.types["NEW"].alpha == 1.0
    assert result.types["OLD"].alpha == pytest.approx(by_definition(["--", "--", "--", "-O", "--"]))
    assert result.all.alpha == pytest.approx(by_definition(["--", "--", "--", ["N", "NO"], "--"]))


def test_f1_counts_mentions_that_two_people_have_alike():
    versions = group(
        anna="[Redis|INFRA] and [Kafka|INFRA] of [Core|TEAM] run [billing|SERVICE]",
        bert="[Redis|INFRA] and [Kafka|SERVICE] of [Core|TEAM] run [billing|SERVICE]",
    )
    result = agreement_of([versions], ["SERVICE", "INFRA", "CONFIG"])
    # SERVICE: 1 shared of 1 and 2. INFRA: 1 of 2 and 1. All: 3 of 4 and 4.
    assert {label: one.f1 for label, one in result.types.items()} == {
        "SERVICE": pytest.approx(2 / 3), "INFRA": pytest.approx(2 / 3), "CONFIG": None, "TEAM": 1.0
    }  # fmt: skip
    assert list(result.types) == ["SERVICE", "INFRA", "CONFIG", "TEAM"]
    assert {label: one.mentions for label, one in result.types.items()} == {
        "SERVICE": 3, "INFRA": 3, "CONFIG": 0, "TEAM": 2
    }  # fmt: skip
    assert result.all.f1 == pytest.approx(6 / 8)
    assert result.types["CONFIG"].alpha is None
    assert result.types["CONFIG"].verdict == "unknown"


def test_of_three_people_each_pair_counts_on_the_passages_that_both_have():
    result = agreement_of(
        [
            group(anna="[Redis|INFRA] is down", bert="[Redis|INFRA] is down", carl="Redis is [down|INFRA]"),
            group(anna="[Kafka|INFRA] is [up|INFRA]", bert="[Kafka|INFRA] is up"),
            group(anna="[Core|TEAM] is here"),
            [],
        ]
    )
    assert (result.passages, result.measured) == (3, 2)
    # Passage 1: 1 shared of the pairs' 1 + 1, 0 of 1 + 1 twice; passage 2: 1 of 2 + 1. In all 2 x 2 of 9.
    assert result.all.f1 == result.types["INFRA"].f1 == pytest.approx(4 / 9)
    assert "TEAM" not in result.types
    assert {names: (shared.passages, shared.f1) for names, shared in result.pairs.items()} == {
        ("anna", "carl"): (1, 0.0), ("bert", "carl"): (1, 0.0), ("anna", "bert"): (2, pytest.approx(4 / 5))
    }  # fmt: skip
    assert list(result.pairs)[-1] == ("anna", "bert")
    # Who differs from all comes first.
    assert list(result.people) == ["carl", "anna", "bert"]
    anna = result.people["anna"]
    assert (anna.passages, anna.shared_passages, anna.against_others.f1) == (3, 2, pytest.approx(4 / 7))
    words = [["I", "I", "-"], "---", ["-", "-", "I"], "II", "--", "I-"]
    assert result.all.alpha == pytest.approx(by_definition(words))


def test_people_without_any_mention_agree_and_have_no_f1():
    result = agreement_of([group(anna="all is well", bert="all is well")])
    assert (result.measured, result.all.f1, result.all.alpha, result.all.verdict) == (1, None, None, "unknown")
    assert result.disagreements == []


@pytest.mark.parametrize(
    ("f1", "alpha", "verdict"),
    [
        (1.0, 1.0, "reliable"), (0.8, 0.8, "reliable"), (0.79, 0.95, "tentative"), (0.95, 0.667, "tentative"),
        (0.9, 0.66, "unreliable"), (0.6, 0.9, "unreliable"), (0.0, -0.2, "unreliable"), (0.9, None, "reliable"),
        (None, None, "unknown"),
    ],
)  # fmt: skip
def test_the_lower_of_both_figures_is_the_judgement(f1, alpha, verdict):
    assert TypeAgreement(40, f1, alpha).verdict == verdict


def version(annotator: str, /, *labels: str, file: str = "f.jsonl", **meta: object) -> CleanVersion:
    return CleanVersion(
        Version("Redis", annotator=annotator, file=file, meta=meta), [Span(0, 5, label) for label in labels]
    )


@pytest.mark.parametrize(
    ("versions", "people"),
    [
        pytest.param([version("anna"), version("bert")], ["anna", "bert"], id="whom the record names"),
        pytest.param([version("anna"), version("anna")], ["anna"], id="one person twice"),
        pytest.param([version(""), version("")], ["unknown"], id="nobody is named"),
        pytest.param([version("a.jsonl"), version("b.jsonl")], ["a.jsonl", "b.jsonl"], id="one file per person"),
        pytest.param([version("", annotator="anna"), version("", annotator="bert")], ["anna", "bert"], id="meta"),
        pytest.param([version("", annotator="anna"), version("", annotator="anna (2)")], ["anna"], id="meta, again"),
        pytest.param([version("f.jsonl", annotator="anna")], ["anna"], id="meta says more than the file's name"),
        pytest.param([version("carl", annotator="anna")], ["carl"], id="the record's own name says more than meta"),
        pytest.param([version("", annotator=3)], ["3"], id="a number"),
        pytest.param([version("", annotator=None)], ["unknown"], id="null"),
    ],
)
def test_who_made_a_version(versions, people):
    assert sorted(agreement_of([versions]).people) == people


def test_the_last_version_by_a_person_counts():
    result = agreement_of([[version("anna", "TEAM"), version("bert", "INFRA"), version("anna", "INFRA")]])
    assert result.all.f1 == 1.0
    assert list(result.types) == ["INFRA"]


def test_only_the_people_who_are_asked_for_are_compared():
    versions = [version("anna", "TEAM"), version("bert", "INFRA"), version("carl", "INFRA")]
    assert agreement_of([versions], annotators=["bert", "carl"]).all.f1 == 1.0


def test_the_worst_pairs_of_types_come_first_and_their_places_too():
    result = agreement_of(
        [
            group(anna="[a|TEAM] x", bert="a x"),
            group(anna="[b|INFRA] [c|INFRA] x", bert="[b|SERVICE] [c|SERVICE] x"),
            group(anna="[d|INFRA] [e|TEAM] x", bert="[d|SERVICE] [e x|TEAM]"),
        ]
    )
    assert [(one.types, one.times, one.places, dict(one.kinds)) for one in result.confusions] == [
        (("INFRA", "SERVICE"), 3, 3, {"type": 3}),
        (("TEAM", "TEAM"), 1, 1, {"boundary": 1}),
        (("TEAM", "nothing"), 1, 1, {"missed": 1}),
    ]
    assert [one.mention for one in result.disagreements] == ["b", "c", "d", "e x", "a"]


def test_a_place_is_listed_once_with_what_each_person_said():
    text = "{} " + "word " * 30
    result = agreement_of(
        [
            group(
                anna=text.format("A [police officer|Person] of"),
                bert=text.format("A [police|Job] [officer|Person] of"),
                carl=text.format("A police officer of"),
            )
        ]
    )
    (place,) = result.disagreements
    assert (place.before, place.mention, place.after[:6], place.after[-1]) == ("A ", "police officer", " of wo", "…")
    assert {said.annotator: [span.label for span in said.spans] for said in place.said} == {
        "anna": ["Person"], "bert": ["Job", "Person"], "carl": []
    }  # fmt: skip
    counts = {one.types: (one.times, one.places, dict(one.kinds)) for one in result.confusions}
    assert counts == {
        ("Person", "nothing"): (2, 1, {"missed": 2}),
        ("Person", "Person"): (1, 1, {"boundary": 1}),
        ("Job", "Person"): (1, 1, {"type and boundary": 1}),
        ("Job", "nothing"): (1, 1, {"missed": 1}),
    }
    assert place.differences[0] == (("Person", "nothing"), "missed")
    lines = disagreement_lines(place)
    assert lines[0].startswith("f.json (id 7): missed Person / nothing, ")
    assert lines[1].startswith("A [[police officer]] of word word")
    assert lines[2:] == ["anna: Person 'police officer'", "bert: Job 'police', Person 'officer'", "carl: nothing"]


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf8")
    return path


def canonical(*texts: str) -> list[dict]:
    """Records of the canonical annotation file."""
    made = []
    for text in texts:
        plain, spans = marked(text)
        made.append({"text": plain, "spans": [vars(span) for span in spans], "answer": "accept"})
    return made


ANNA = canonical("[Redis|INFRA] is down", "[Kafka|INFRA] of [Core|TEAM] 😀 [x|INFRA]", "only [anna|TEAM]")
BERT = canonical("[Redis|INFRA] is down", "[Kafka|SERVICE] of [Core|TEAM] 😀 [x|INFRA]", "only [bert|TEAM]")


@pytest.fixture
def two_files(tmp_path) -> list[Path]:
    return [write(tmp_path / "anna.jsonl", *ANNA), write(tmp_path / "bert.jsonl", *BERT)]


def test_each_of_two_canonical_files_is_one_persons(two_files):
    result = measure_agreement(two_files)
    assert (result.passages, result.measured) == (4, 2)
    assert result.all.f1 == pytest.approx(6 / 8)
    assert list(result.pairs) == [tuple(map(str, two_files))]
    (place,) = result.disagreements
    assert [(Path(said.file).name, said.line) for said in place.said] == [("anna.jsonl", 2), ("bert.jsonl", 2)]


def test_each_file_of_a_doccano_archive_is_one_persons(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name, records in (("anna", ANNA), ("bert", BERT)):
            rows = [
                {"id": number, "text": one["text"], "label": [list(span.values()) for span in one["spans"]]}
                for number, one in enumerate(records, 10)
            ]
            archive.writestr(f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    result = measure_agreement([tmp_path / "export.zip"])
    assert list(result.pairs) == [("anna", "bert")]
    assert result.all.f1 == pytest.approx(6 / 8)
    assert {said.id for said in result.disagreements[0].said} == {"11"}


def test_an_import_that_kept_each_version_can_be_measured(tmp_path, run):
    rows = [{**one, "_annotator_id": name} for name, records in (("a", ANNA), ("b", BERT)) for one in records]
    write(tmp_path / "prodigy.jsonl", *rows)
    assert run("domain-ner", "import", "prodigy.jsonl", "-o", "each.jsonl", "--annotators", "each").returncode == 0
    assert list(measure_agreement([tmp_path / "each.jsonl"]).pairs) == [("a", "b")]


def test_ground_truth_does_not_silence_the_others_and_a_skipped_version_does_not_count(tmp_path):
    def annotation(person: int, label: str, **extra: bool) -> dict:
        value = {"start": 0, "end": 5, "text": "Redis", "labels": [label]}
        result = [{"from_name": "label", "to_name": "text", "type": "labels", "value": value}]
        return {"id": person, "completed_by": person, "result": result, **extra}

    versions = [
        annotation(1, "INFRA", ground_truth=True),
        annotation(2, "TEAM"),
        annotation(3, "X", was_cancelled=True),
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"id": 5, "data": {"text": "Redis is down"}, "annotations": versions}]))
    result = measure_agreement([path])
    assert list(result.pairs) == [("1", "2")]
    assert [one.types for one in result.confusions] == [("INFRA", "TEAM")]


@pytest.mark.skipif(not LEOKA.exists(), reason="the real exports are not beside this repository")
def test_a_real_export_of_three_people_has_the_figures_of_another_computation(tmp_path):
    # Which of a person's own versions counts, in two tasks, is the reader's to say.
    tasks = [task for task in json.loads(LEOKA.read_text(encoding="utf8")) if task["id"] not in (97057282, 97057300)]
    export = tmp_path / "export.json"
    export.write_text(json.dumps(tasks), encoding="utf8")
    shared, mentions = Counter(), Counter()
    units, kinds = [], defaultdict(list)
    for task in tasks:
        text = task["data"]["text"]
        people = {}
        for one in task["annotations"]:
            if one["was_cancelled"]:
                continue
            spans = set()
            for result in (result for result in one["result"] if result["type"] == "labels"):
                start, end = result["value"]["start"], result["value"]["end"]
                while text[start].isspace():
                    start += 1
                while text[end - 1].isspace():
                    end -= 1
                spans.add((start, end, result["value"]["labels"][0]))
            people[str(one["completed_by"])] = spans
        for one, other in combinations(people.values(), 2):
            shared.update(label for *_, label in one & other)
            mentions.update(label for spans in (one, other) for *_, label in spans)
        for word in re.finditer(r"\w+|[^\w\s]", text):
            values = [
                frozenset(label for start, end, label in spans if start < word.end() and word.start() < end)
                for spans in people.values()
            ]
            units.append(values)
    for label in mentions:
        kinds[label] = [[label in value for value in values] for values in units]

    result = measure_agreement([export])
    assert (result.passages, result.measured, len(result.people)) == (58, 57, 3)
    assert {label: one.f1 for label, one in result.types.items()} == pytest.approx(
        {label: 2 * shared[label] / mentions[label] for label in mentions}
    )
    assert result.all.f1 == pytest.approx(2 * shared.total() / mentions.total())
    assert result.all.alpha == pytest.approx(alpha_by_counts(units))
    assert {label: one.alpha for label, one in result.types.items()} == pytest.approx(
        {label: alpha_by_counts(kinds[label]) for label in mentions}
    )
    # Every mention that one of a pair has alone is in the table, by itself or against another's.
    alone = mentions.total() - 2 * shared.total()
    against = sum(one.times for one in result.confusions if one.types[1] != "nothing")
    missed = sum(one.times for one in result.confusions if one.types[1] == "nothing")
    assert missed + against <= alone <= missed + 2 * against
    assert result.confusions[0].types == ("Person", "Person")


def alpha_by_counts(units: list[list]) -> float:
    """Alpha from the coincidence matrix as the paper sets it up, for many values."""
    matrix: Counter = Counter()
    for values in units:
        for one, other in permutations(values, 2):
            matrix[one, other] += 1 / (len(values) - 1)
    sums: Counter = Counter()
    for (one, _), count in matrix.items():
        sums[one] += count
    total = sum(sums.values())
    alike = sum(count for (one, other), count in matrix.items() if one == other)
    by_chance = sum(count * (count - 1) for count in sums.values())
    return ((total - 1) * alike - by_chance) / (total * (total - 1) - by_chance)


@pytest.mark.skipif(not LIVE.exists(), reason="the real exports are not beside this repository")
def test_a_real_label_studio_export_of_two_people():
    result = measure_agreement([LIVE])
    # Task 8: "Tim Cook" and "Apple" alike, "Cupertino" is LOC for one and ORG for the other.
    assert (result.measured, result.all.f1) == (1, pytest.approx(2 / 3))
    assert [(one.types, dict(one.kinds)) for one in result.confusions] == [(("LOC", "ORG"), {"type": 1})]
    assert list(result.pairs) == [("admin@example.com", "ann2@example.com")]
    assert result.disagreements[0].said[0].id == "8"


def test_the_verb_prints_the_tables_and_writes_everything(two_files, run, tmp_path):
    done = run("domain-ner", "agreement", "anna.jsonl", "bert.jsonl", "--output", "all.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 4 passages were annotated by two people or more" in done.stdout
    assert re.search(r"TEAM +2 +1\.000 +1\.000 +reliable \(few mentions\)", done.stdout)
    assert re.search(r"anna\.jsonl +bert\.jsonl +2 +0\.750", done.stdout)
    assert re.search(r"INFRA / SERVICE +1 +1\b", done.stdout)
    assert "[[Kafka]] of Core 😀 x" in done.stdout
    assert "bert.jsonl:2: SERVICE 'Kafka'" in done.stdout
    written = json.loads((tmp_path / "all.json").read_text())
    assert written["passages"] == {"read": 4, "measured": 2}
    words = ["II", "--", "--", "IS", "--", "TT", "--", "II"]
    alpha = round(by_definition(words), 4)
    assert written["all"] == {"mentions": 8, "f1": 0.75, "alpha": alpha, "verdict": "tentative"}
    assert written["pairs_of_types"][0]["kinds"] == {"type": 1}
    assert written["disagreements"][0]["said"][1]["spans"] == [
        {"start": 0, "end": 5, "label": "SERVICE", "text": "Kafka"}
    ]


def test_labels_can_be_renamed_and_unknown_ones_are_told(two_files, run, tmp_path):
    (tmp_path / "entity_types.yml").write_text("entity_types: [{name: INFRA}, {name: TEAM}]\n")
    done = run("domain-ner", "agreement", *two_files)
    assert "1 span(s) of SERVICE, which is not an entity type" in done.stdout
    done = run("domain-ner", "agreement", *two_files, "--rename", "SERVICE=INFRA")
    assert "They differ nowhere." in done.stdout
    assert "not an entity type" not in done.stdout
    done = run("domain-ner", "agreement", *two_files, "--rename", "SERVICE=")
    assert "INFRA / nothing" in done.stdout
    assert "left out" not in done.stdout + done.stderr
    assert "could not be taken" not in done.stdout


@pytest.mark.parametrize(
    ("records", "options", "what", "hint"),
    [
        pytest.param(
            {"a.jsonl": ANNA}, {}, "per person: unknown (3)", "export one file per annotator", id="nobody named"
        ),
        pytest.param(
            {"a.jsonl": [{**one, "_annotator_id": "anna"} for one in ANNA]}, {},
            "per person: anna (3)", "of two or more people", id="one person",
        ),
        pytest.param(
            {"a.jsonl": ANNA[:1], "b.jsonl": ANNA[1:]}, {}, "b.jsonl (2)", "text and meta.source", id="other passages"
        ),
        pytest.param(
            {"a.jsonl": ANNA, "b.jsonl": BERT}, {"annotators": ["zoe"]},
            "`annotators` has 'zoe'", "b.jsonl (3)", id="zoe",
        ),
        pytest.param(
            {"a.jsonl": [{**one, "answer": "ignore"} for one in ANNA]}, {},
            "No annotated passage", "Skipped passages", id="all skipped",
        ),
        pytest.param(
            {"a.jsonl": canonical("[R|X]"), "b.jsonl": canonical("[R|X]")}, {"schema": "INFRA"},
            "None of the labels is an entity type: X (2)", "The entity types are INFRA", id="other labels",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_said(tmp_path, records, options, what, hint):
    files = [write(tmp_path / name, *rows) for name, rows in records.items()]
    if "schema" in options:
        (tmp_path / "types.yml").write_text(f"entity_types: [{{name: {options['schema']}}}]\n")
        options = {"schema": tmp_path / "types.yml"}
    with pytest.raises(UserError) as raised:
        measure_agreement(files, **options)
    assert what in raised.value.what
    assert hint in raised.value.hint


def test_the_verb_fails_without_a_traceback(run, tmp_path):
    write(tmp_path / "a.jsonl", *ANNA)
    done = run("domain-ner", "agreement", "a.jsonl")
    assert done.returncode == 1
    assert "No passage was annotated by two people" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "policies", [[Policies("each")], [Policies(only_annotators=(name,)) for name in ("ana", "ben")]]
)
def test_sentences_that_people_cut_in_different_ways_are_compared_as_one(tmp_path, policies):
    marks = {"ana": [(0, 5, "INFRA"), (19, 23, "TEAM")], "ben": [(0, 18, "INFRA"), (29, 34, "INFRA")]}
    versions = [
        {
            "completed_by": name,
            "result": [
                {
                    "type": "labels",
                    "from_name": "label",
                    "to_name": "text",
                    "value": {"start": s, "end": e, "labels": [label]},
                }
                for s, e, label in spans
            ],
        }
        for name, spans in marks.items()
    ]
    task = {"id": 1, "data": {"text": "Redis is down. Ask Core\nnow! Kafka is up."}, "annotations": versions}
    export = write(tmp_path / "export.json", task)
    files = [tmp_path / f"{number}.jsonl" for number in range(len(policies))]
    for file, policy in zip(files, policies, strict=True):
        import_annotations([export], file, policy, sentences=True)
    whole, cut = measure_agreement([export]), measure_agreement(files)
    assert (cut.passages, cut.measured) == (2, 2)
    assert cut.all == whole.all
    assert {one.mention for one in cut.disagreements} == {one.mention for one in whole.disagreements}
