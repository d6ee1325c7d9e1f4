"""UIMA's CAS as XMI and as JSON: offsets in UTF-16 units, layers, sentences, archives, and broken files."""

import io
import json
import zipfile

import pytest
from helpers.versions import SCHEMA

from spacy_domain_ner.errors import UserError

TEXT = '🚀 Redis Cluster <is> down.\nKafka & "SRE".'
PACKAGE = "de/tudarmstadt/ukp/dkpro/core/api"
TYPES = {
    "Sentence": f"{PACKAGE}/segmentation/type",
    "NamedEntity": f"{PACKAGE}/ner/type",
    "POS": f"{PACKAGE}/lexmorph/type/pos",
    "Style": "webanno/custom",
    "INFRA": "uima/noNamespace",
}
SENTENCES = [("Sentence", 0, 27, {}), ("Sentence", 28, 42, {})]
ENTITIES = [
    ("NamedEntity", 3, 16, {"value": "INFRA", "identifier": "http://x"}),
    ("NamedEntity", 28, 33, {"value": "INFRA"}),
    ("POS", 0, 2, {"PosValue": "SYM"}),
]
MENTIONS = [[("Redis Cluster", "INFRA")], [("Kafka", "INFRA")]]


def escaped(text):
    return "".join(f"&#{ord(character)};" if character in '<>&"\n' else character for character in text)


def xmi(annotations, text=TEXT):
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<xmi:XMI xmlns:xmi="http://www.omg.org/XMI"']
    lines += ['  xmlns:cas="http:///uima/cas.ecore" xmlns:tcas="http:///uima/tcas.ecore" xmi:version="2.0"']
    lines += [f'  xmlns:{name.lower()}="http:///{package}.ecore"' for name, package in TYPES.items()] + [">"]
    lines += [
        '<cas:NULL xmi:id="0"/>',
        '<tcas:DocumentAnnotation xmi:id="9" sofa="1" begin="0" end="42" language="x"/>',
    ]
    for number, (kind, begin, end, features) in enumerate(annotations, 10):
        values = "".join(f' {name}="{value}"' for name, value in features.items())
        lines.append(f'<{kind.lower()}:{kind} xmi:id="{number}" sofa="1" begin="{begin}" end="{end}"{values}/>')
    lines.append(f'<cas:Sofa xmi:id="1" sofaNum="1" sofaID="_InitialView" sofaString="{escaped(text)}"/>')
    return "\n".join([*lines, '<cas:View sofa="1" members="10 11"/>', "</xmi:XMI>"])


def cas(annotations, text=TEXT):
    sofa = {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaNum": 1, "sofaID": "_InitialView", "sofaString": text}
    structures = [
        {
            "%ID": number,
            "%TYPE": f"{TYPES[kind].replace('/', '.')}.{kind}",
            "@sofa": 1,
            "begin": begin,
            "end": end,
            **more,
        }
        for number, (kind, begin, end, more) in enumerate(annotations, 10)
    ]
    return {"%TYPES": {}, "%FEATURE_STRUCTURES": [sofa, *structures], "%VIEWS": {"_InitialView": {"%SOFA": 1}}}


def archive(annotations):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("notes.xmi", xmi(annotations))
        target.writestr("TypeSystem.xml", '<?xml version="1.0"?><typeSystemDescription/>')
    return stream.getvalue()


FORMS = {"XMI": xmi, "JSON": cas, "JSON with indents": lambda a: json.dumps(cas(a), indent=2), "archive": archive}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_sentence_is_a_passage_with_its_entities(imported, form):
    result = imported(form([*SENTENCES, *ENTITIES]), "export.zip" if form is archive else "export.xmi")
    assert result.report.files[0][1] == "UIMA CAS (XMI or JSON) (NamedEntity|value)"
    assert result.texts == TEXT.split("\n")
    assert result.mentions == MENTIONS
    assert not result.report.refused


@pytest.mark.parametrize("form", [xmi, cas])
def test_without_sentences_the_document_is_one_passage(imported, form):
    assert imported(form(ENTITIES), "export.xmi").mentions == [[mention for found in MENTIONS for mention in found]]


def test_the_layers_that_the_entity_types_name_are_read(imported):
    both = [("Style", 0, 2, {"kind": "x"}), ("INFRA", 28, 33, {"note": "?"})]
    assert imported(xmi([*SENTENCES, *both]), "export.xmi", schema=SCHEMA).mentions == [[], [("Kafka", "INFRA")]]
    with pytest.raises(UserError, match=r"Style\|kind \(x\); INFRA\|note"):
        imported(xmi([*SENTENCES, *both]), "export.xmi")


def test_what_cannot_be_a_span_is_said(imported):
    bad = [
        ("NamedEntity", 1, 7, {"value": "INFRA"}),
        ("NamedEntity", 3, 90, {"value": "INFRA"}),
        ("NamedEntity", 3, 8, {}),
    ]
    result = imported(xmi([*SENTENCES, *ENTITIES, *bad]), "export.xmi")
    assert result.mentions == MENTIONS
    assert sorted(result.reasons("refused")) == [
        "INFRA 1 to 7 is empty, cuts a character, or lies outside the text",
        "INFRA 3 to 90 is empty, cuts a character, or lies outside the text",
        "the span has no label",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (xmi(ENTITIES)[:-20], "is broken XML"),
        (xmi(ENTITIES).replace("<xmi:XMI", '<!DOCTYPE x [<!ENTITY a "b">]>\n<xmi:XMI'), "defines entities"),
        ('<?xml version="1.0"?><typeSystemDescription/>', "is XML"),
        (xmi(ENTITIES, ""), "the document has no text"),
    ],
    ids=["cut off", "entities of its own", "a type system", "no text"],
)
def test_files_that_cannot_be_read_are_refused(imported, content, said):
    with pytest.raises(UserError) as error:
        imported(content, "export.xmi")
    assert said in str(error.value)
