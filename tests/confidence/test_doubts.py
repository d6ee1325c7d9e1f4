"""What a model is unsure of, word by word."""

import pytest
import spacy
from helpers.memorized import memorized

from spacy_domain_ner.components.biluo_ner import FACTORY, BiluoNER
from spacy_domain_ner.confidence.doubts import read_doubts
from spacy_domain_ner.confidence.prediction import expected_entities
from spacy_domain_ner.errors import UserError


def test_a_doubtful_word_has_its_place_and_type_and_counts_by_the_type(make_passages):
    nlp = memorized(FACTORY, make_passages(), steps=4)
    text = "\u00e9 \U0001f600  Redis and checkout-api"
    [doubts] = read_doubts(nlp, [text])
    assert doubts.words == 7 == len(doubts.lower)
    assert doubts.doubts
    words = {text[one.start : one.end] for one in doubts.doubts}
    assert words <= {"\u00e9", "\U0001f600", "Redis", "and", "checkout", "-", "api"}
    assert all(0 < one.entropy < one.gain <= one.entropy + 1 for one in doubts.doubts)
    [half] = read_doubts(nlp, [text], dict.fromkeys(nlp.get_pipe("ner").labels, 0.5))
    assert half.gain == pytest.approx(doubts.gain / 2, abs=0.01)
    assert [len(one.doubts) for one in read_doubts(nlp, (text for text in ["", text, " "]), batch_size=2)][::2] == [
        0,
        0,
    ]


def test_a_package_of_an_earlier_version_tells_what_it_is_unsure_of_too(make_passages, monkeypatch):
    nlp = memorized(FACTORY, make_passages(), steps=2)
    text = "Redis and checkout-api"
    [now], expected = read_doubts(nlp, [text]), [*expected_entities(nlp, [text])]

    class Earlier(BiluoNER):
        """The class that such a package brings."""

        @property
        def uncertainty(self):
            raise AttributeError

        expected = uncertainty

    monkeypatch.setattr(nlp.get_pipe("ner"), "__class__", Earlier)
    [before] = read_doubts(nlp, [text])
    assert before.doubts == now.doubts
    assert [*expected_entities(nlp, [text])] == expected


@pytest.mark.parametrize(("factory", "message"), [("ner", "how unsure it is"), ("entity_ruler", "no recognizer that")])
def test_a_model_that_can_not_tell_says_so_before_the_first_text(factory, message):
    nlp = spacy.blank("en")
    nlp.add_pipe(factory)
    with pytest.raises(UserError, match=message):
        read_doubts(nlp, ["Redis"])
