"""The rules by field: the examples in their tables, a hundred more forms of each field, and that groups combine."""

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spacy import util
from spacy.language import Language

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.tokenization import (
    GROUPS,
    create_customize_tokenizer,
    create_customize_tokenizer_v2,
    customize_tokenizer,
)

NAME = "spacy_domain_ner.customize_tokenizer.v2"
FORMS = Path(__file__).parents[2] / "benchmarks/tokenizer_forms"
FIELDS = ("biomedical", "legal", "financial")


def tokenizing(*rules: str) -> Language:
    return create_customize_tokenizer_v2(list(rules))(spacy.blank("en"))


NLP = {field: tokenizing(field) for field in FIELDS}
ALL = tokenizing(*GROUPS)


def tokens(nlp: Language, text: str) -> list[str]:
    return [token.text for token in nlp.make_doc(text)]


def examples(table: str, separator: str | None) -> list[tuple[str, str]]:
    modules = {field: importlib.import_module(f"spacy_domain_ner.tokenization.{field}") for field in FIELDS}
    return [
        (field, one) for field in FIELDS for row, _ in getattr(modules[field], table) for one in row.split(separator)
    ]


@pytest.mark.parametrize(("field", "name"), examples("NAMES", None))
def test_a_name_of_a_field_is_one_token_wherever_it_stands(field, name):
    nlp = NLP[field]
    assert tokens(nlp, name) == [name]
    assert tokens(nlp, f"see {name}, then") == ["see", name, ",", "then"]
    assert tokens(nlp, f"({name})") == ["(", name, ")"]
    if not name.endswith("."):
        assert tokens(nlp, f'use "{name}".') == ["use", '"', name, '"', "."]


@pytest.mark.parametrize(("field", "divided"), examples("JOINTS", " | "))
def test_a_token_ends_inside_a_word_where_a_mention_ends(field, divided):
    assert tokens(NLP[field], "".join(divided.split())) == divided.split()


@pytest.mark.parametrize("field", FIELDS)
def test_a_hundred_forms_of_a_field_have_their_tokens(field):
    lines = [line for line in (FORMS / f"{field}.txt").read_text("utf8").splitlines() if line[:1] not in ("", "#")]
    wrong = []
    for line in lines:
        expected, _, text = line.partition(" :: ")
        if tokens(NLP[field], text or expected.replace(" | ", "")) != expected.split(" | "):
            wrong.append(line)
    assert len(lines) >= 100
    assert wrong == []


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("legal", "Respondent-Balbir Singh", "Respondent - Balbir Singh"),
        ("legal", "(Fed. Cir. 2023): so", "( Fed . Cir . 2023 ) : so"),
        ("legal", "Smith v. Jones, 410 U.S. 113.", "Smith v. Jones , 410 U.S. 113 ."),
        ("legal", "under Art. 6(1)(f),", "under Art. 6(1)(f) ,"),
        ("legal", "Schedule 2B.", "Schedule 2B ."),
        ("biomedical", "the SCN10A. Not 75 g.", "the SCN10A . Not 75 g ."),
        ("biomedical", "CD19-BV421, Foxp3-Cre", "CD19 - BV421 , Foxp3 - Cre"),
        ("biomedical", "Parkinson's T-cell-mediated", "Parkinson 's T-cell - mediated"),
        ("biomedical", "a 5-year, 10-mg, 3-day trial", "a 5 - year , 10 - mg , 3 - day trial"),
        ("biomedical", "[Ca(2+)]i", "[ Ca(2+) ] i"),
        ("financial", "(US$500m, $1.2bn)", "( US$500m , $1.2bn )"),
        ("financial", "Form 10-K. (NYSE: BRK.B)", "Form 10-K . ( NYSE : BRK.B )"),
        ("financial", "Nordhavn Bank A/S.", "Nordhavn Bank A / S ."),
        ("financial", "SOFR-linked, FCA/PRA", "SOFR - linked , FCA / PRA"),
    ],
)
def test_in_a_sentence(field, text, expected):
    assert tokens(NLP[field], text) == expected.split(" ")


def test_the_software_group_is_the_rules_of_before():
    before, now = create_customize_tokenizer()(spacy.blank("en")), tokenizing("software")
    assert before.tokenizer.to_bytes() == now.tokenizer.to_bytes()


def test_without_a_group_words_are_those_of_spacy_and_marks_are_divided():
    nlp, plain = tokenizing(), spacy.blank("en")
    for text in ("checkout-api", "user-facing, 1,000 don't U.S.", "AT&T and Moody's at 3.5%"):
        assert tokens(nlp, text) == tokens(plain, text)
    assert tokens(nlp, "\u200bRedis\u200b a|b") == ["\u200b", "Redis", "\u200b", "a", "|", "b"]


def test_groups_combine():
    nlp = tokenizing("legal", "financial")
    assert tokens(nlp, "12(b)(6) for $1.2bn under the 10-K") == ["12(b)(6)", "for", "$1.2bn", "under", "the", "10-K"]
    assert tokens(ALL, "checkout-api: TNF-alpha, 12(b)(6), $1.2bn") == [
        "checkout-api", ":", "TNF-alpha", ",", "12(b)(6)", ",", "$1.2bn",
    ]  # fmt: skip
    assert tokenizing("legal", "legal").tokenizer.to_bytes() == tokenizing("legal").tokenizer.to_bytes()


def test_added_again_they_change_nothing():
    nlp = tokenizing("biomedical")
    before = nlp.tokenizer.to_bytes()
    customize_tokenizer(nlp.tokenizer, ["biomedical"])
    assert nlp.tokenizer.to_bytes() == before


@pytest.mark.parametrize("language", ["de", "hu", "xx"])
def test_other_languages_take_them(language):
    nlp = create_customize_tokenizer_v2(["financial", "biomedical"])(spacy.blank(language))
    assert tokens(nlp, "1,2-dichloroethane 10-K/A") == ["1,2-dichloroethane", "10-K/A"]


def test_a_group_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UserError, match="no tokenizer rules 'medical'") as raised:
        tokenizing("medical")
    assert "software, biomedical, legal, financial" in str(raised.value.hint)


def test_a_config_finds_the_callback_by_its_entry_point():
    assert NAME in util.registry.callbacks.get_entry_points()
    config = util.load_config_from_str(
        f'[nlp]\nlang = "en"\npipeline = []\n[initialize]\n[initialize.before_init]\n@callbacks = "{NAME}"\n'
        'rules = ["legal"]\n'
    )
    nlp = util.load_model_from_config(config, auto_fill=True)
    nlp.initialize()
    assert tokens(nlp, "12(b)(6)") == ["12(b)(6)"]


def test_a_saved_model_needs_no_plugin(tmp_path):
    ALL.to_disk(tmp_path / "model")
    text = " ".join(name for _, name in examples("NAMES", None)) + " 75 g. (a):"
    script = """
import importlib.metadata, sys
sys.modules["spacy_domain_ner"] = None
installed = importlib.metadata.distributions
importlib.metadata.distributions = lambda **key: (d for d in installed(**key) if d.name != "spacy-domain-ner")
import spacy
print("\\n".join(token.text for token in spacy.load(sys.argv[1])(sys.argv[2])))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "model"), text]
    done = subprocess.run(command, capture_output=True, encoding="utf8", check=True)
    assert done.stdout.splitlines() == tokens(ALL, text)


@given(st.one_of(st.text(), st.text(alphabet="aZ1g(),.-+/'’[]{}$€§=&:%^β \n", max_size=60)))
@example("1,2-(3-a)-[b]-/-p53-/-$(1,2)§1(a)(b)")
@settings(max_examples=600)
def test_the_text_is_kept(text):
    for nlp in (*NLP.values(), ALL):
        assert nlp.make_doc(text).text == text


HOSTILE = [
    "1,",
    "1-(",
    "((1)",
    "N-",
    "a'",
    "-/-",
    "(1)",
    "S.Ct.",
    "19-",
    "$1,",
    "A&",
    "Q1",
    "alpha-",
    "yl-",
    "H(2)",
    "mg/",
]


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_length_and_not_with_its_square(unit):
    def seconds(length: int) -> float:
        text = ("x" + unit * length)[:length]
        start = time.process_time()
        ALL.make_doc(text)
        return time.process_time() - start

    # Eight times the text: 8 where time is linear, 64 where it is quadratic. A floor, since the clock is coarse.
    assert seconds(80_000) < 24 * max(seconds(10_000), 0.05)
