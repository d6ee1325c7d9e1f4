"""The guide in both forms: everything from the schema is in it, and nothing in the schema can break it."""

import re
from pathlib import Path

import pytest
from helpers.hostile import HOSTILE
from helpers.html_page import Page
from markdown_it import MarkdownIt

from spacy_domain_ner.annotation.guide import render_guide
from spacy_domain_ner.schema import PALETTE, EntitySchema, read_schema, text_color_on

SOFTWARE = read_schema(Path(__file__).parents[2] / "assets/software/entity_types.yml")
TEXTS = [
    # Backticks mean something in the guide: they show a span.
    *(text for text in HOSTILE if "`" not in text),
    "a | b \\| c",
    "**not bold [x](javascript:alert(1)) ![i](http://x.example/i.png) _a_ ~~s~~",
    "# heading",
    "- item",
    "1. item",
    "https://x.example/y",
    "$HOME \\ backslash",
    "two\nlines\n\nand more",
]


def words(text: str) -> str:
    return " ".join(text.split())


def markdown_page(markdown: str) -> Page:
    return Page(MarkdownIt("commonmark").enable("table").render(markdown))


def hostile(text: str) -> EntitySchema:
    entity_type = {
        "name": "PUMP",
        "definition": text,
        "color": "#000000;}</style><script>",
        "examples": [{"text": f"before {text} after", "mention": text}],
        "edge_cases": [{"case": text, "decision": text, "borders_on": "VALVE"}],
        "not_entities": [text],
    }
    boundary = {"rule": text, "example": text}
    return EntitySchema.model_validate(
        {"entity_types": [entity_type, {"name": "VALVE", "definition": text}], "boundaries": [boundary]}
    )


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_everything_of_the_software_pack_is_in_the_guide(form):
    guide = render_guide(SOFTWARE, "Our guide")
    # A mark's label follows it in the page.
    text = re.sub(r'<span class="tag">\w+</span>', "", guide.html) if form == "html" else guide.markdown
    text = words((Page(text) if form == "html" else markdown_page(text)).text)
    assert "Our guide" in text
    for entity_type in SOFTWARE.entity_types:
        expected = [
            entity_type.definition,
            *(example.text for example in entity_type.examples),
            *entity_type.not_entities,
        ]
        expected += [case.decision.replace("`", "") for case in entity_type.edge_cases]
        expected += [case.case[-20:] for case in entity_type.edge_cases]
        for one in expected:
            assert words(one) in text, one
    for boundary in SOFTWARE.boundaries:
        assert words(boundary.rule).replace("**", "") in text


def test_examples_are_marked_where_the_mention_stands_in_the_color_of_the_type():
    html = render_guide(SOFTWARE).html
    marked = '<mark class="type-SERVICE">parcel-tracker<span class="tag">SERVICE</span></mark>'
    assert f"anyone else getting 502s from {marked} since lunch?" in html
    assert ".type-SERVICE { --color: #77AADD; --on: #000000; }" in html
    assert html.count('<mark class="type-SERVICE">') >= 8
    assert "502s from `parcel-tracker` since lunch?" in render_guide(SOFTWARE).markdown


def test_the_second_occurrence_is_marked_where_the_first_is_part_of_a_word():
    example = {"text": "redis-py uses Redisson, and Redis.", "mention": "Redis"}
    schema = EntitySchema.model_validate({"entity_types": [{"name": "DB", "examples": [example]}]})
    assert 'Redisson, and <mark class="type-DB">Redis<' in render_guide(schema).html


def test_backticks_in_decisions_become_marks_and_types_in_parentheses_give_their_color():
    types = [
        {
            "name": "Drug",
            "edge_cases": [{"case": "a `literal` backtick", "decision": "`aspirin` counts", "borders_on": None}],
        }
    ]
    schema = EntitySchema.model_validate(
        {"entity_types": types, "boundaries": [{"rule": "**No** article.", "example": "the `aspirin` (Drug)"}]}
    )
    guide = render_guide(schema)
    assert "<mark>aspirin</mark> counts" in guide.html
    assert "a `literal` backtick" in guide.html
    assert '<mark class="type-Drug">aspirin<span class="tag">Drug</span></mark>' in guide.html
    assert "<strong>No</strong> article." in guide.html
    assert "**No** article." in guide.markdown


def test_the_decision_table_has_each_pair_once_with_the_cases_of_both_sides():
    types = [
        {"name": "AAA", "edge_cases": [{"case": "case one", "decision": "first", "borders_on": "BBB"}]},
        {
            "name": "BBB",
            "edge_cases": [
                {"case": "case two", "decision": "second", "borders_on": "AAA"},
                {"case": "case three", "decision": "third", "borders_on": None},
            ],
        },
        {"name": "CCC"},
    ]
    guide = render_guide(EntitySchema.model_validate({"entity_types": types}))
    html = guide.html[guide.html.index('id="which-of-the-two"') : guide.html.index('<section id="not-in-here"')]
    assert html.count('<div class="pair">') == 1
    assert [case in html for case in ("case one", "case two", "case three")] == [True, True, False]
    table = guide.markdown[guide.markdown.index("### AAA or BBB?") : guide.markdown.index("## A case that is not")]
    assert "| case one | first | [AAA](#type-AAA) |" in table
    assert "| case two | second | [BBB](#type-BBB) |" in table
    assert "case three" not in table


def test_a_pipe_within_a_span_does_not_end_the_cell_of_a_table():
    edge_case = {"case": "cat log | grep x", "decision": "`a|b` and `c``d` count", "borders_on": "VALVE"}
    types = [{"name": "PUMP", "edge_cases": [edge_case]}, {"name": "VALVE"}]
    page = markdown_page(render_guide(EntitySchema.model_validate({"entity_types": types})).markdown)
    cells = [tag for tag, _ in page.tags if tag in ("td", "th")]
    assert len(cells) == 3 * 5 + 2 * 3
    assert page.text.count("cat log | grep x") == 2
    assert page.text.count("a|b and ") == 2


def test_without_confused_types_nothing_points_to_a_table_of_them():
    guide = render_guide(EntitySchema.model_validate({"entity_types": [{"name": "A"}]}))
    assert "which-of-the-two" not in re.sub(r"<style>.*</style>", "", guide.html, flags=re.DOTALL)
    assert "### " not in guide.markdown


@pytest.mark.parametrize("text", TEXTS)
def test_text_in_the_page_is_only_text(text):
    page = Page(render_guide(hostile(text), title=text).html)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "iframe", "link", "b"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.open == []
    # As a title, in the overview, in the definition, in an example, in the case, in the pair's table, ...
    plain = words(page.text.replace("PUMP", ""))
    assert plain.count(words(text.replace("**", ""))) >= 6


@pytest.mark.parametrize("text", TEXTS)
def test_text_in_markdown_is_only_text(text):
    page = markdown_page(render_guide(hostile(text), title=text).markdown)
    links = [attributes.get("href", "") for tag, attributes in page.tags if tag == "a"]
    assert all(link.startswith("#") for link in links if link)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "s", "b"}
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert words(page.text).count(words(text.replace("**", ""))) >= 6
    tables = [tag for tag, _ in page.tags if tag == "tr"]
    cells = [tag for tag, _ in page.tags if tag in ("td", "th")]
    assert (len(tables), len(cells)) == (5, 3 * 5 + 2 * 3)  # overview: head and two types; a pair: head and one case


def test_the_page_refers_to_nothing_outside_itself_and_every_link_has_its_target():
    html = render_guide(SOFTWARE).html
    page = Page(html)
    assert not re.search(r"(src|href|srcset|action)=\"(?!#)|url\(|@import", html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert len(targets) > 50
    assert {target[1:] for target in targets} <= set(ids)
    assert page.tags[0] == ("html", {"lang": "en"})
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_every_rule_of_the_style_is_confined_to_the_guide():
    style = re.search(r"<style>(.*)</style>", render_guide(SOFTWARE).html, re.DOTALL)[1]
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{[^{}]*\}", re.sub(r"@media[^{]*\{", "", style))
    for selector in selectors:
        for part in selector.strip().lstrip("}").split(","):
            assert part.strip().startswith((".guide", "body:has(> .guide)", "@page")), selector


def test_a_type_that_is_not_finished_says_so_where_it_stands():
    guide = render_guide(EntitySchema.model_validate({"entity_types": [{"name": "METRIC"}]}))
    for text in (Page(guide.html).text, markdown_page(guide.markdown).text):
        assert "Not finished" in text
        assert "It has no definition yet." in text
    assert "Not finished" not in render_guide(SOFTWARE).html
    assert "Not finished" not in render_guide(SOFTWARE).markdown


def test_the_same_schema_gives_the_same_guide():
    assert render_guide(SOFTWARE) == render_guide(SOFTWARE)


@pytest.mark.parametrize("color", [*PALETTE, *SOFTWARE.colors.values(), "#767676", "#0000FF", "#FF0000", "#000000"])
def test_text_on_a_color_has_enough_contrast(color):
    def luminance(color: str) -> float:
        values = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(color), luminance(text_color_on(color))))
    assert (high + 0.05) / (low + 0.05) >= 4.5
