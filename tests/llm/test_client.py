"""The client against a server that answers, fails and misbehaves, over real sockets."""

import base64
import email.utils
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from helpers.llm_server import Asked, LLMServer, Reply, fails, says

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.client import Client, Prompt
from spacy_domain_ner.llm.ledger import FILE, read_ledger

pytest.importorskip("openai", reason="the llm extra is not installed")

SCHEMA = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
    "additionalProperties": False,
}
GOOD = {"names": ["Redis"]}
KEY = "sk-Test+Key/0123456789"


def prompts(count: int) -> list[Prompt]:
    return [Prompt("Find the names.", f"passage {number}", SCHEMA) for number in range(count)]


def ask(server, folder, count=1, **settings):
    with Client(server.settings(**settings), folder) as client:
        return list(client.ask(prompts(count), "test"))


def test_answers_come_in_the_order_of_the_prompts_and_a_second_run_sends_nothing(tmp_path):
    def script(asked: Asked) -> Reply:
        # The first is the slowest.
        number = int(asked.user.split()[1])
        return says({"names": [asked.user]}, wait=0.2 if number == 0 else 0.0)

    with LLMServer(script) as server:
        for _ in range(2):
            answers = ask(server, tmp_path, 20, concurrency=4)
            assert [answer.value for answer in answers] == [{"names": [f"passage {n}"]} for n in range(20)]
        assert len(server.asked) == 20
        assert server.most_at_once <= 4
    assert all(answer.is_stored and answer.usage.tokens_in == 100 for answer in answers)


def test_the_same_prompt_asked_several_times_at_once_is_sent_once(tmp_path):
    with (
        LLMServer(lambda _: says(GOOD, wait=0.1)) as server,
        Client(server.settings(), tmp_path) as client,
    ):
        answers = list(client.ask(prompts(1) * 12, "test"))
        assert [answer.value for answer in answers] == [GOOD] * 12
        assert len(server.asked) == 1


def test_what_is_not_unicode_text_is_a_failure_of_that_prompt(tmp_path):
    with LLMServer(lambda _: says(GOOD)) as server, Client(server.settings(), tmp_path) as client:
        answers = list(client.ask([Prompt("Find.", "half \ud800", SCHEMA), *prompts(1)], "test"))
    assert [answer.kind for answer in answers] == ["request", ""]
    assert len(server.asked) == 1


FIRST_FAILURES = {
    "429 with seconds": fails(429, retry_after="0.05"),
    "429 with a date": fails(429, retry_after=email.utils.formatdate(usegmt=True)),
    "429 with neither": fails(429, retry_after="soon"),
    "500": fails(500),
    "503 of a proxy": Reply(503, b"<html>Service Unavailable</html>"),
    "529": fails(529),
    "a reset": Reply(end="reset"),
    "silence": Reply(content=says(GOOD).content, wait=1.5),
    "an error with status 200": Reply(content=b'{"error": {"message": "upstream", "code": 502}}'),
}


@pytest.mark.parametrize("failure", FIRST_FAILURES.values(), ids=FIRST_FAILURES)
def test_what_fails_at_the_server_is_sent_again(tmp_path, failure):
    with LLMServer(lambda asked: failure if asked.attempt == 1 else says(GOOD)) as server:
        [answer] = ask(server, tmp_path, timeout=1)
        assert answer.value == GOOD, answer.error
        assert len(server.asked) == 2
    assert [request.state for request in read_ledger(tmp_path / FILE)][1] == "answered"


def test_the_pause_that_a_server_asks_for_holds_for_all_and_one_that_is_too_long_is_a_failure(tmp_path):
    with LLMServer(lambda asked: fails(429, retry_after="1") if asked.number == 1 else says(GOOD)) as server:
        start = time.monotonic()
        ask(server, tmp_path, 4, concurrency=1)
        assert time.monotonic() - start >= 1
    with LLMServer(lambda _: fails(429, retry_after="86400")) as server:
        [answer] = ask(server, tmp_path / "other")
        assert (answer.kind, len(server.asked)) == ("server", 1)
        assert "86,400 seconds" in answer.error


PAID_FOR = {
    "cut at the limit": (says({"names": []}, finish="length"), "truncated"),
    "a refusal": (says(None, refusal="I can't help with that"), "refusal"),
    "the filter": (says("", finish="content_filter"), "refusal"),
    "cut JSON": (says('{"names": ["Red'), "invalid"),
    "prose": (says("There are no names here."), "invalid"),
    "nothing": (says(""), "invalid"),
    "no content": (says(None), "invalid"),
    "another object": (says({"entities": []}), "invalid"),
    "another kind": (says({"names": "Redis"}), "invalid"),
    "no choices": (Reply(content=b'{"choices": [], "usage": null}'), "invalid"),
    "strange choices": (Reply(content=b'{"choices": [7]}'), "invalid"),
    "deep nesting": (says('{"names":' + "[" * 100_000), "invalid"),
    "a list among words": (says("Nothing is a name [1]."), "invalid"),
    "cut JSON with brackets in it": (says('{"names": ["a[] b'), "invalid"),
    "thoughts that were cut": (says('<think>Perhaps {"names": ["Redis"]}'), "invalid"),
    "an answer that is not JSON": (Reply(content=b'{"choices": [{'), "server"),
    "an answer that can't be unpacked": (
        Reply(content=says(GOOD).content, headers={"Content-Encoding": "gzip"}),
        "server",
    ),
    "a head and nothing else": (Reply(content=says(GOOD).content, end="head"), "server"),
    "an answer without an end": (says({"names": ["x" * 100] * 12_000}), "server"),
    "half of an answer": (Reply(content=says(GOOD).content, end="cut"), "server"),
}


@pytest.mark.parametrize(("reply", "kind"), PAID_FOR.values(), ids=PAID_FOR)
def test_what_was_answered_badly_is_a_failure_of_that_prompt_and_is_never_paid_twice(tmp_path, reply, kind):
    with LLMServer(lambda asked: reply if asked.user == "passage 1" else says(GOOD)) as server:
        for _ in range(2):
            answers = ask(server, tmp_path, 3)
            assert [answer.value for answer in answers] == [GOOD, None, GOOD]
            assert answers[1].kind == kind
            assert answers[1].error
        assert len(server.asked) == 3


GOOD_ENOUGH = {
    "a fence": "```json\n" + '{"names": ["Redis"]}' + "\n```",
    "words around it": 'Sure! Here it is: {"names": ["Redis"]}. Anything else?',
    "thoughts before it": '<think>{"names": ["wrong"]} or so</think>\n{"names": ["Redis"]}',
    "thoughts of which the prompt has the first mark": 'Perhaps {"names": ["wrong"]}.\n</think>{"names": ["Redis"]}',
    "a bare list": '["Redis"]',
    "further keys": '{"thought": "a cache", "names": ["Redis"]}',
    "a list of parts": [{"type": "text", "text": '{"names": '}, {"type": "text", "text": '["Redis"]}'}],
}


@pytest.mark.parametrize("content", GOOD_ENOUGH.values(), ids=GOOD_ENOUGH)
def test_json_is_found_among_what_models_put_around_it(tmp_path, content):
    reply = says("")
    message = says(content).content if isinstance(content, str) else None
    if message is None:
        import json

        data = json.loads(reply.content)
        data["choices"][0]["message"]["content"] = content
        message = json.dumps(data).encode()
    with LLMServer(lambda _: Reply(content=message)) as server:
        [answer] = ask(server, tmp_path)
        assert answer.value is not None, answer.error
        assert answer.value["names"] == ["Redis"]


@pytest.mark.parametrize(
    ("accepted", "refusal"),
    [
        ("json_object", "response_format of type json_schema is not supported"),
        ("", "unknown parameter: response_format"),
        ("", "Bad request"),
    ],
)
def test_a_server_without_json_schema_is_asked_in_the_next_form_and_that_is_remembered(tmp_path, accepted, refusal):
    def script(asked: Asked) -> Reply:
        return says(GOOD) if asked.level == accepted else fails(400, refusal)

    with LLMServer(script) as server:
        answers = ask(server, tmp_path, 10, concurrency=1)
        assert [answer.value for answer in answers] == [GOOD] * 10
        assert len(server.asked) == (11 if accepted else 12)
        assert '"required"' in server.asked[-1].body["messages"][0]["content"]


def test_a_prompt_that_no_form_helps_is_to_blame_itself(tmp_path):
    def script(asked: Asked) -> Reply:
        return fails(400, "invalid") if asked.user == "passage 2" else says(GOOD)

    with LLMServer(script) as server:
        answers = ask(server, tmp_path, 6, concurrency=1)
        assert [answer.kind for answer in answers] == ["", "", "request", "", "", ""]
        assert {asked.level for asked in server.asked[3:]} == {"json_schema"}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        ("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
        ("seed", "seed is not supported"),
    ],
)
def test_a_parameter_that_the_model_does_not_take_is_left_out(tmp_path, key, message):
    with LLMServer(lambda asked: fails(400, message) if key in asked.body else says(GOOD)) as server:
        assert [answer.value for answer in ask(server, tmp_path, 3, concurrency=1, seed=1)] == [GOOD] * 3
        assert len(server.asked) == 4
        assert server.asked[-1].level == "json_schema"


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_where_nothing_can_be_asked_the_run_stops_at_once(tmp_path, status):
    with (
        LLMServer(lambda _: fails(status, "wrong", code="x")) as server,
        Client(server.settings(concurrency=1), tmp_path) as client,
    ):
        answers = list(client.ask(prompts(20), "test"))
        assert {answer.kind for answer in answers} == {"setup"}
        assert len(server.asked) == 1
        assert f"HTTP {status}" in str(client.stopped)


def test_a_key_that_is_refused_in_the_middle_is_not_tried_with_every_prompt(tmp_path):
    with LLMServer(lambda asked: says(GOOD) if asked.number < 4 else fails(401, "revoked")) as server:
        answers = ask(server, tmp_path, 40, concurrency=1)
        assert [answer.kind for answer in answers[:5]] == ["", "", "", "request", "request"]
        assert len(server.asked) < 10


def test_a_server_that_is_away_is_not_asked_for_every_prompt(tmp_path):
    with LLMServer(lambda _: Reply(end="reset")) as server:
        answers = ask(server, tmp_path, 40, concurrency=2, retries=0)
        assert {answer.kind for answer in answers} == {"server"}
        assert len(server.asked) < 10


def test_spending_never_passes_the_budget_also_over_several_runs(tmp_path):
    settings = {"price": {"input": 10, "output": 100}, "budget": 0.05, "max_output_tokens": 30}
    with LLMServer(lambda _: says(GOOD, usage=(100, 20))) as server:
        for _ in range(3):
            answers = ask(server, tmp_path, 40, **settings)
        kinds = [answer.kind for answer in answers]
        # 0.003 dollars each, and up to 0.008 are set aside.
        assert 14 <= kinds.count("") == len(server.asked) <= 16
        assert kinds.count("budget") == 40 - kinds.count("")
        with Client(server.settings(**settings), tmp_path) as client:
            assert client.spent == pytest.approx(0.003 * len(server.asked))


def test_what_may_have_been_charged_counts_against_the_budget(tmp_path):
    with LLMServer(lambda _: Reply(end="reset")) as server:
        [answer] = ask(server, tmp_path, price={"input": 0, "output": 10}, budget=0.025, retries=9)
        assert answer.kind == "budget"
        assert len(server.asked) == 2
    assert [request.usage.cost for request in read_ledger(tmp_path / FILE)] == [0.01, 0.01]


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": "many"},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
    ],
)
def test_usage_that_is_missing_or_strange_is_estimated_and_marked(tmp_path, usage):
    with LLMServer(lambda _: says(GOOD, usage=usage)) as server:
        [answer] = ask(server, tmp_path, price={"input": 1, "output": 1})
    assert answer.usage.is_estimated
    assert 20 < answer.usage.tokens_in < 300
    assert answer.usage.cost > 0


def test_the_key_goes_to_the_server_and_is_in_no_file_and_no_message(tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("EXAMPLE_KEY", KEY)
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Other: from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://from-the-environment")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    echoes = [
        says({"names": [KEY]}),
        says(f"your key is {KEY}"),
        says(None, refusal=f"{'x' * 190}{KEY}"),
        fails(400, f"{'x' * 290}{KEY}"),
        fails(429, f"quota of {base64.b64encode(KEY.encode()).decode()}", code="x"),
        Reply(content=f"not JSON {KEY}".encode()),
        Reply(500, KEY.encode(), {"X-Echo": KEY}),
        Reply(307, b"", {"Location": f"http://example.com/?key={KEY}"}),
    ]
    with LLMServer(lambda asked: echoes[int(asked.user.split()[1])]) as server:
        answers = ask(server, tmp_path, len(echoes), key_env="EXAMPLE_KEY", retries=0, json_mode="plain")
        assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {KEY}"}
        assert "from-the-environment" not in str([asked.headers for asked in server.asked])
    assert answers[0].value == {"names": ["[key]"]}
    told = str(answers) + caplog.text
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode("latin-1")
    for text in (told, stored):
        assert "sk-Test" not in text
        assert base64.b64encode(KEY.encode()).decode()[:12] not in text


@pytest.mark.parametrize("key", ["sk-back\\slash", "sk-'both'\"quotes\""])
def test_a_key_is_taken_out_in_whatever_form_it_is_repeated(tmp_path, monkeypatch, key):
    monkeypatch.setenv("EXAMPLE_KEY", key)
    escaped = "".join(f"\\u{ord(character):04X}" for character in key)
    said = f"{key}\nsaid {bytearray(key.encode())} of {key!r}, {escaped} and {quote(key)}"
    with LLMServer(lambda _: Reply(500, said.encode())) as server:
        [answer] = ask(server, tmp_path, key_env="EXAMPLE_KEY", retries=0)
    assert answer.error.count("[key]") == 5
    assert "quotes" not in answer.error
    assert "slash" not in answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize(
    "said",
    [" " * 900_000, "{" * 900_000, "\n" * 300_000 + json.dumps(GOOD)],
    ids=["blanks", "brackets", "blanks first"],
)
def test_a_long_answer_with_nothing_in_it_is_read_in_a_moment(tmp_path, said):
    # Models that must write JSON may write blanks without end. A search that goes to and fro in them takes hours.
    with LLMServer(lambda _: says(said)) as server:
        [answer] = ask(server, tmp_path, retries=0)
    assert (answer.value is not None) == said.endswith("}")


def test_backslashes_without_end_are_searched_for_the_key_in_a_moment(tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_KEY", KEY)
    # With a search that goes to and fro in them this takes an hour.
    with LLMServer(lambda _: Reply(500, b"\\" * 900_000)) as server:
        [answer] = ask(server, tmp_path, key_env="EXAMPLE_KEY", retries=0)
    assert answer.kind == "server"


def test_a_server_without_a_key_gets_none(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")
    with LLMServer(lambda _: says(GOOD)) as server:
        ask(server, tmp_path)
        assert "authorization" not in server.asked[0].headers


def test_everything_that_an_answer_depends_on_is_part_of_its_key(tmp_path):
    with LLMServer(lambda _: says(GOOD)) as server:
        for values in ({}, {"model": "other"}, {"temperature": 1.0}, {"seed": 3}, {"extra": {"top_p": 0.5}}, {}):
            ask(server, tmp_path, **values)
        assert len(server.asked) == 5
        changed = [
            Prompt("Find the names!", "passage 0", SCHEMA),
            Prompt("Find the names.", "passage 0", {**SCHEMA, "required": []}),
            Prompt("Find the names.", "passage 0", SCHEMA, (("a", "b"),)),
        ]
        with Client(server.settings(), tmp_path) as client:
            list(client.ask(changed, "test"))
        assert len(server.asked) == 8


ASKING = """
    import sys
    from pathlib import Path
    from spacy_domain_ner.llm.client import Client, Prompt
    from spacy_domain_ner.llm.settings import LLMSettings
    from llm.test_client import prompts
    settings = LLMSettings(base_url=sys.argv[1], model="scripted", concurrency=2)
    with Client(settings, Path(sys.argv[2])) as client:
        for number, answer in enumerate(client.ask(prompts(30), "test")):
            print(number, flush=True)
"""


def start_another(server, folder):
    """Another process that asks the same, and wait for its first answers."""
    command = [sys.executable, "-c", textwrap.dedent(ASKING), server.url, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    while int(process.stdout.readline()) < 9:
        pass
    return process


def test_a_killed_run_is_resumed_and_nothing_is_paid_again(tmp_path):
    with LLMServer(lambda _: says(GOOD, wait=0.05)) as server:
        process = start_another(server, tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.2)
        before = len(server.asked)
        answers = ask(server, tmp_path, 30)
        assert all(answer.value == GOOD for answer in answers)
        # What was under way when it was killed is asked again: two requests at most.
        assert 30 - before <= len(server.asked) - before <= 30 - before + 2


def test_what_another_process_asks_at_the_same_time_is_waited_for_and_not_paid_twice(tmp_path):
    with LLMServer(lambda _: says(GOOD, wait=0.05)) as server:
        process = start_another(server, tmp_path)
        answers = ask(server, tmp_path, 30)
        process.communicate()
        assert all(answer.value == GOOD for answer in answers)
        assert len(server.asked) == 30


def test_what_is_under_way_when_nobody_waits_any_more_is_kept(tmp_path):
    with LLMServer(lambda _: says(GOOD, wait=0.2)) as server:
        with Client(server.settings(concurrency=4), tmp_path) as client:
            # As after Ctrl-C.
            next(client.ask(prompts(30), "test"))
        assert {request.state for request in read_ledger(tmp_path / FILE)} == {"answered"}
        assert len(server.asked) < 30
        ask(server, tmp_path, 30)
        assert len(server.asked) == 30


def test_a_ledger_that_another_program_keeps_to_itself_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_domain_ner.llm.ledger._WAIT_SECONDS", 0.1)
    with LLMServer(lambda _: says(GOOD)) as server, Client(server.settings(), tmp_path) as client:
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(UserError, match="database is locked\nAnother program"):
                list(client.ask(prompts(1), "test"))
        assert not server.asked
        assert [answer.value for answer in client.ask(prompts(1), "test")] == [GOOD]
