"""Putting tokens together with natural spacing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.exchange.formats.spacing import Spacing, align_tokens, join_tokens

UNICODE = st.characters(exclude_categories=["Cs"])
MARKS = st.sampled_from(
    ["'", '"', "``", "''", "“", "”", "’", "'s", "n't", "(", ")", "[", "]", "-", "/", "$", "€", "%", ".", ",", "#", "@",
     "<", ">", "|", "O", "...", "-LRB-", "🏳️‍🌈", "a\u0301", "\u200b", "«", "»", "¿", "´", "。"]
)  # fmt: skip
TOKENS = st.lists(MARKS | st.text(UNICODE, min_size=1, max_size=6).filter(lambda text: text.strip()), max_size=15)


@given(tokens=TOKENS, seen=TOKENS)
def test_every_token_is_found_at_its_offsets(tokens, seen):
    text, offsets = join_tokens(tokens, Spacing(seen))
    assert [text[start:end] for start, end in offsets] == tokens
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
    # Nothing was added but blanks, one at most between two tokens.
    assert all(0 <= start - end <= 1 for (_, end), (start, _) in pairwise(offsets))
    assert len(text) == (offsets[-1][1] if offsets else 0)
    assert "".join(text.split()) == "".join("".join(tokens).split())


@given(tokens=TOKENS, data=st.data())
def test_a_span_has_the_characters_of_its_tokens(tokens, data):
    text, offsets = join_tokens(tokens, Spacing(tokens))
    if tokens:
        first = data.draw(st.integers(0, len(tokens) - 1))
        last = data.draw(st.integers(first, len(tokens) - 1))
        solid = "".join(text[offsets[first][0] : offsets[last][1]].split())
        assert solid == "".join("".join(tokens[first : last + 1]).split())


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        pytest.param("It did n't work , did it ?", "It didn't work, did it?", id="English endings"),
        pytest.param("We 're sure they 'll say it 's Ann 's", "We're sure they'll say it's Ann's", id="apostrophes"),
        pytest.param("It does n’t , it ’s", "It doesn’t, it’s", id="curly apostrophes"),
        pytest.param("the users ' queue", "the users' queue", id="a plural's apostrophe"),
        pytest.param('He said " restart it " twice .', 'He said "restart it" twice.', id="straight quotes"),
        pytest.param('" a " and " b "', '"a" and "b"', id="two pairs of quotes"),
        pytest.param("He said “ restart it ” .", "He said “restart it”.", id="curly quotes"),
        pytest.param("`` restart it '' , he said", "``restart it'', he said", id="the Penn Treebank's quotes"),
        pytest.param("« oui » , dit -il", "«oui», dit -il", id="guillemets"),
        pytest.param("a queue ( Kafka ) [ 3 ]", "a queue (Kafka) [3]", id="brackets"),
        pytest.param("it costs $ 20 or € 30 , 40 % less", "it costs $20 or €30, 40% less", id="currency and percent"),
        pytest.param("R $ 20 ou US $ 5", "R$20 ou US$5", id="dollars of a country"),
        pytest.param("¿ Qué pasa ?", "¿Qué pasa?", id="Spanish"),
        pytest.param("Wait ... what ?!", "Wait... what?!", id="marks in a row"),
        pytest.param("I ' ve seen it ' s Ann ' s", "I've seen it's Ann's", id="apostrophes cut on both sides"),
        pytest.param("We ca n ' t , we don ' t", "We can't, we don't", id="a contraction in four"),
        pytest.param("the letter ' s ' here", "the letter 's' here", id="a quoted letter"),
        pytest.param("l ' eau qu ' on n ' a", "l'eau qu'on n'a", id="French, cut on both sides"),
        pytest.param("L' eau d' Anne , dell’ arte", "L'eau d'Anne, dell’arte", id="French and Italian"),
        pytest.param("the users' list", "the users' list", id="a plural with its apostrophe"),
        pytest.param("Er sagt „ ja “ und „ nein ” .", "Er sagt „ja“ und „nein”.", id="German quotes"),
        pytest.param("das » Boot « , » Bug « da", "das »Boot«, »Bug« da", id="German guillemets"),
        pytest.param("” Ja ” , sa hon", "”Ja”, sa hon", id="Swedish quotes"),
        pytest.param("He left. ” Then “ she did", "He left.” Then “she did", id="a quote of the sentence before"),
        pytest.param("„ ‚ so ‘ “ “ a ‘ b ’ ”", "„‚so‘“ “a ‘b’”", id="quotes in quotes"),
        pytest.param("نعم ، هذا ؟", "نعم، هذا؟", id="Arabic"),
        pytest.param("वह गया । क्या ?", "वह गया। क्या?", id="Hindi"),
        pytest.param("我 住 在 「 北京 」 ， 用 Kafka 3 。", "我住在「北京」，用Kafka 3。", id="Chinese"),
        pytest.param("", "", id="nothing"),
        pytest.param("Redis", "Redis", id="one token"),
    ],
)
def test_text_is_spaced_as_it_would_be_written(tokens, text):
    assert join_tokens(tokens.split())[0] == text


@pytest.mark.parametrize(
    ("seen", "tokens", "text"),
    [
        pytest.param("self - driving and / or", "a self - driving car", "a self-driving car", id="cut at hyphens"),
        pytest.param("self-driving - here", "a pause - like this", "a pause - like this", id="hyphens kept in words"),
        pytest.param("and / or", "read / write", "read/write", id="cut at slashes"),
        pytest.param("a - b", "लिये - दिये e\u0301 - a", "लिये-दिये e\u0301-a", id="words that end with a mark"),
        pytest.param("北 京 用 了 e - x", "用 A P I v 2 OpenAI GPT", "用APIv2OpenAI GPT", id="single characters"),
        pytest.param("and/or / so", "one / two", "one / two", id="slashes kept in words"),
    ],
)
def test_a_hyphen_stands_as_the_file_s_other_words_tell(seen, tokens, text):
    assert join_tokens(tokens.split(), Spacing(seen.split()))[0] == text


@pytest.mark.parametrize(
    ("tokens", "text", "places"),
    [
        pytest.param(["a", "b"], "a  b", [(0, 1), (3, 4)], id="two blanks"),
        pytest.param(["can", "not"], "cannot", [(0, 3), (3, 6)], id="no blank"),
        pytest.param(["``", "a", "''"], '"a"', [(0, 1), (1, 2), (2, 3)], id="the Penn Treebank's quotes"),
        pytest.param(["a", "c"], "a b", None, id="another text"),
        pytest.param(["a", "b"], "a", None, id="a text cut off"),
        pytest.param([], "a", [], id="no token"),
    ],
)
def test_tokens_are_found_in_the_text_that_they_come_from(tokens, text, places):
    assert align_tokens(tokens, text) == places
