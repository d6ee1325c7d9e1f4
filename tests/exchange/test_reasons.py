"""The wording of what an import says."""

from spacy_domain_ner.exchange.reasons import Reason


def test_every_reason_has_words_of_its_own():
    details = {"words": "w", "label": "A", "rival": "B", "rival_text": "b", "unit": "u", "claim": "c", "changes": "+A",
               "versions": 2, "spans": 1, "whose": "", "taken": "", "undecided": 1, "length": 9,
               "relations": "", "type": "R", "end": "head", "id": "T1", "count": 1,
               "start": 0, "new_start": 2, "new_end": 3}  # fmt: skip
    said = [str(reason.note(**details)) for reason in Reason]
    assert len(set(said)) == len(said)
    assert not any("{" in words for words in said)
