"""The model cards: hostile text stays text, and each model's card says what that model has."""

import srsly

from spacy_domain_ner.deployment.model_card import ModelCard
from spacy_domain_ner.schema import EntitySchema, EntityType

SCORES = {"precision": 0.75, "recall": 0.5, "f1": 0.6, "support": 70}
METRICS = {
    "passages": 123,
    "gates": {"production": 0.85, "fallback": 0.8},
    "micro": SCORES,
    "types": {"DRUG_NAME": {**SCORES, "verdict": "unknown", "certainty": "only 7 mentions to judge by"}},
}
COUNTS = {
    "passages": 600,
    "without_entities": 31,
    "types": {"DRUG_NAME": {"mentions": 512, "forms": 88, "verdict": "enough"}},
}
META = {"lang": "en", "name": "x_ner", "version": "0.1.0", "license": "MIT", "spacy_version": ">=3.8"}
HOSTILE = "*a* [b](https://evil.example) <script>\n# `c` | _d_ @you"
ESCAPED = r"\*a\* \[b\](https\://evil.example) \<script\> \# \`c\` \| \_d\_ @<!-- -->you"


def card(meta: dict[str, object] | None = None, metrics: dict[str, object] | None = None, text: str = "X") -> ModelCard:
    schema = EntitySchema(entity_types=[EntityType(name="DRUG_NAME", definition=text)])
    return ModelCard("en_x_ner", {**META, **(meta or {})}, text, schema, {**METRICS, **(metrics or {})}, COUNTS)


def test_the_card_of_a_model_with_a_confidence_says_how_far_to_trust_it() -> None:
    plain = card().for_spacy()
    sure = card(metrics={"confidence": {"expected_calibration_error": 0.0421}}).for_spacy()
    assert "confidence" not in plain
    assert "print([(ent.text, ent.label_) for ent in doc.ents])" in plain
    assert "print([(ent.text, ent.label_, ent._.confidence) for ent in doc.ents])" in sure
    assert "4.2 points apart" in sure


def test_a_verdict_says_how_certain_it_is() -> None:
    result = {**SCORES, "verdict": "probably ready", "certainty": "only 12 mentions to judge by"}
    shown = card(metrics={"types": {"DRUG": result}}).for_spacy()
    assert "| DRUG | 75.0 % | 50.0 % | 60.0 % | 70 | probably ready (only 12 mentions to judge by) |" in shown
    assert "| 70 | unknown (only 7 mentions to judge by) |" in card().for_spacy()


def test_text_that_means_something_in_markdown_is_shown_as_it_is() -> None:
    shown = card(meta={"author": HOSTILE, "license": HOSTILE, "description": f"1. {HOSTILE}"}, text=HOSTILE).for_spacy()
    lines = shown.splitlines()
    assert lines[0] == f"# {ESCAPED}"
    assert lines[2] == rf"1\. {ESCAPED}"
    assert rf"| DRUG\_NAME | {ESCAPED} |" in lines
    assert f"licence: {ESCAPED}, author: {ESCAPED}." in shown


def test_what_a_model_does_not_say_is_named_or_left_out() -> None:
    shown = card(meta={"license": ""}, text="").for_spacy()
    assert "Finds DRUG\\_NAME in text." in shown
    assert "licence: not given, author: not given." in shown
    assert r"| DRUG\_NAME | not described yet |" in shown
    assert "base model" not in shown
    based = card(meta={"sources": [{"name": "a/b_c"}, {"name": "d"}]}).for_spacy()
    assert r"author: not given, base model: a/b\_c, d." in based


def test_tables_stand_by_themselves_and_no_line_is_empty_within_them() -> None:
    for shown in (card().for_spacy(), card().for_huggingface()):
        lines = shown.splitlines()
        for number, line in enumerate(lines):
            if line.startswith("|---"):
                assert lines[number - 2] == ""
                assert lines[number - 1].startswith("| type |")
                assert lines[number + 1].startswith(r"| DRUG\_NAME |")
        assert "\n\n\n" not in shown
        assert shown.endswith("|\n")


def test_the_hub_s_card_begins_with_metadata_and_has_the_same_body() -> None:
    source = [{"name": "dmis-lab/biobert"}]
    shown = card(meta={"license": "Apache-2.0", "sources": source}).for_huggingface()
    _, head, body = shown.split("---\n", 2)
    assert shown.startswith("---\n")
    assert srsly.yaml_loads(head) == {
        "language": "en",
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["named-entity-recognition", "token-classification"],
        "base_model": "dmis-lab/biobert",
    }
    assert body.startswith("\n# X\n\nFinds DRUG\\_NAME in text.\n\n```python\nfrom transformers import pipeline\n")
    from_types = body[body.index("## Entity types") :]
    assert card(meta={"license": "Apache-2.0", "sources": source}).for_spacy().endswith(from_types)
    assert "license: other" in card(meta={"license": "Proprietary"}).for_huggingface()


def test_a_model_that_has_learned_from_another_one_says_so() -> None:
    assert "another model" not in card().for_spacy()
    shown = card(meta={"distilled": {"teacher": HOSTILE, "passages": 2000}}).for_spacy()
    assert f"2000 passages that nobody has annotated, as another model ({ESCAPED}) reads them.\n" in shown
