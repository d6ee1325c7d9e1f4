"""The log of a server: a file, or a file per day of which old ones are removed."""

import json
import time

import pytest

from spacy_domain_ner import Settings
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.sampling import SampleLog


def test_a_log_of_some_days_begins_a_file_per_day_and_removes_old_ones(tmp_path, monkeypatch):
    for name in (
        "live-2026-10-30.jsonl",
        "live-2026-10-31.jsonl",
        "live.jsonl",
        "live-notes.jsonl",
        "olive-2026-01-01.jsonl",
    ):
        (tmp_path / name).write_text("{}\n")
    now = [1793448000.0]  # 31 October 2026
    monkeypatch.setattr(
        time, "gmtime", lambda moment=None, made=time.gmtime: made(now[0] if moment is None else moment)
    )
    monkeypatch.setattr(time, "time", lambda: now[0])
    log = SampleLog(tmp_path / "live.jsonl", 1.0, days=1)
    log.add({"text": "one"}, [], {"name": "en_ops"})
    now[0] += 86_400
    log.add({"text": "two"}, [], {"name": "en_ops"})
    now[0] += 86_400
    log.add({"text": "three"}, [], {"name": "en_ops"})
    log.close()
    texts = {
        path.name: [json.loads(line).get("text") for line in path.read_text().splitlines()]
        for path in tmp_path.iterdir()
    }
    assert texts == {
        "live-2026-11-01.jsonl": ["two"], "live-2026-11-02.jsonl": ["three"],
        "live.jsonl": [None], "live-notes.jsonl": [None], "olive-2026-01-01.jsonl": [None],
    }  # fmt: skip
    assert (tmp_path / "live-2026-11-02.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("settings", "message"), [({"log_days": 3}, "is for a log only"), ({"log_days": 0}, "is 0")])
def test_days_that_do_not_fit_are_told(settings, message):
    with pytest.raises(UserError, match=message):
        Settings(**settings)
