"""llm.yml: what it may say, and what is said of a mistake in it."""

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.prices import find_price
from spacy_domain_ner.llm.settings import LLMSettings, Price, read_settings

GOOD = "base_url: https://api.example.com/v1/\nmodel: small\nkey_env: EXAMPLE_KEY\n"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("budgt: 5", "line 4, budgt: the key 'budgt' is not known; did you mean 'budget'?"),
        ("api_key: sk-secret-123", "line 4, api_key: the key 'api_key' is not known"),
        ("concurrency: none", "line 4, concurrency: Input should be a valid integer"),
        ("concurrency: 0", "line 4, concurrency:"),
        ("budget: .nan", "line 4, budget:"),
        ("price:\n  input: 1\n  outputt: 2", "line 6, price.outputt: the key 'outputt' is not known"),
        ("price: {input: -1, output: 2}", "line 4, price.input:"),
        ("json_mode: always", "line 4, json_mode:"),
        ("extra: {messages: []}", "messages can't be set there"),
        ("extra: {since: 2024-01-01}", "line 4, extra: it has a value that JSON does not have"),
        ("extra: {top_p: .nan}", "line 4, extra: it has a value that JSON does not have"),
        ("max_output_tokens: 1000000000000000000000", "line 4, max_output_tokens:"),
        ("proxy: proxy.example.com:3128", "line 4, proxy: it is an address such as http://"),
        ("proxy: socks5://proxy.example.com", "line 4, proxy: it is an address such as http://"),
        ("proxy: http://user:sk-secret@proxy.example.com:999999", "line 4, proxy: it is an address such as http://"),
        ("model: twice", "is not valid YAML"),
        ("timeout: [", "is not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_no_value_is_repeated(tmp_path, lines, says):
    path = tmp_path / "llm.yml"
    path.write_text(GOOD + lines + "\n", encoding="utf8")
    with pytest.raises(UserError) as caught:
        read_settings(path)
    assert says in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["sk-proj-abcDEF_123", "abcdef123456", "A" * 80, "MY KEY", "", "Bearer sk-1", "$OPENAI_API_KEY"]
)
def test_what_may_be_a_key_in_place_of_the_variable_is_refused_and_not_repeated(tmp_path, name):
    path = tmp_path / "llm.yml"
    path.write_text(f"base_url: https://example.com\nmodel: m\nkey_env: '{name}'\n", encoding="utf8")
    with pytest.raises(UserError) as caught:
        read_settings(path)
    assert "the name of an environment variable" in str(caught.value)
    assert not name or name not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example.com/v1", "api.example.com"),
        ("https://api.example.com/v1/chat/completions", "api.example.com"),
        ("http://localhost:11434/v1", "localhost:11434"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.8.9.1", "127.8.9.1"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
    ],
)
def test_addresses_that_may_be_used(url, host):
    assert LLMSettings(base_url=url, model="m").host == host


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "http://10.0.0.7:8000/v1",
        "http://127.0.0.1.example.com/v1",
        "http://localhost.example.com",
        "api.example.com/v1",
        "ftp://example.com",
        "https://user:secret@example.com/v1",
        "https://example.com/v1?key=secret",
        "https://example.com:port/v1",
        "https://exa mple.com/v1",
        "https://example.com/\x01",
        "https://",
        "",
    ],
)
def test_addresses_that_are_refused(tmp_path, url):
    path = tmp_path / "llm.yml"
    path.write_text(f"base_url: '{url}'\nmodel: m\n", encoding="utf8")
    with pytest.raises(UserError) as caught:
        read_settings(path)
    assert "secret" not in str(caught.value)


def test_unencrypted_addresses_can_be_allowed():
    assert LLMSettings(base_url="http://10.0.0.7/v1", model="m", allow_http=True).host == "10.0.0.7"


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "line\nbreak", "schlüssel"])
def test_a_missing_or_impossible_key_is_said_without_its_value(monkeypatch, value):
    settings = LLMSettings(base_url="https://example.com", model="m", key_env="EXAMPLE_KEY")
    monkeypatch.delenv("EXAMPLE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("EXAMPLE_KEY", value)
    with pytest.raises(UserError, match="EXAMPLE_KEY") as caught:
        settings.read_key()
    assert not (value or "").strip() or value not in str(caught.value)


def test_a_price_is_the_settings_own_or_nothing_here_or_that_of_the_table():
    pytest.importorskip("genai_prices", reason="the llm extra is not installed")
    own = Price(input=1, output=2)
    assert find_price(LLMSettings(base_url="https://api.openai.com/v1", model="x", price=own)) == own
    assert find_price(LLMSettings(base_url="http://localhost:1", model="x")) == Price(input=0, output=0)
    listed = find_price(LLMSettings(base_url="https://api.openai.com/v1", model="gpt-4o-mini"))
    assert listed.output > listed.input > 0
    unknown = LLMSettings(base_url="https://llm.example.com", model="own-model")
    assert find_price(unknown) is None
    with pytest.raises(UserError, match="The price of own-model"):
        find_price(unknown.model_copy(update={"budget": 1.0}))


def test_cached_tokens_have_a_price_of_their_own():
    assert Price(input=1, output=4, cached_input=0.25).cost(1_000_000, 500_000, 400_000) == pytest.approx(2.7)
    assert Price(input=1, output=4).cost(1_000_000, 0, 400_000) == pytest.approx(1.0)
