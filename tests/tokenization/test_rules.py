"""What stays one token and where a token ends; that the rules are saved with a model and add to those it has."""

import re
import subprocess
import sys
import time

import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spacy import util
from spacy.language import Language

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.tokenization import create_customize_tokenizer, customize_tokenizer

NAME = "spacy_domain_ner.customize_tokenizer.v1"

WHOLE = [
    "checkout-api",
    "redis-cache-02",
    "prod-eu-west-1",
    "kube-system",
    "react-router-dom@6.4",
    "spring-boot-starter-web",
    "@babel/core",
    "@acme/web-platform",
    "@sre-oncall",
    "@types/node@20.1.0",
    "spring.datasource.url",
    "--max-retries",
    "-javaagent",
    "-XX:+UseG1GC",
    "MAX_POOL_SIZE",
    "X-Forwarded-For",
    "orders.v1.OrderService/GetOrder",
    "/",
    "/healthz",
    "/api/v2/orders",
    "/api/v2/orders/{id}?expand=items",
    "/users/:id",
    "/users/<user_id>/media",
    "/files/${FILE_ID}",
    "/wp-json/*",
    "/v1/users/",
    "/.well-known/openid-configuration",
    "_matrix/client/v3/account/whoami",
    "api/v1/users",
    "https://api.acme.io/v1/charges",
    "https://api.acme.io/v1/users/{id}",
    "postgres://db:5432/orders",
    "openpolicyagent.org/webhook",
    "nvcr.io/nvidia/pytorch:24.01-py3",
    "kafka:9092",
    "alpine:3.12",
    "crates.io",
    "user@example.com",
    "{{API_URL}}/api/v1/x/",
    "{{host}}:{{port}}/v1/keys",
    "{{tenant}}.acme.io/v1/users/{{id}}?limit=10",
    "{base_url}/api/v1/{id}",
    "${HOST}/api",
    "${API_URL:-localhost}/v1",
    "$HOST/api",
    "$HOST:$PORT/healthz",
    "$SERVER_ADDR/v1/sys/seal",
    "$(HOST)/api",
    "%HOST%/api",
    "%(host)s/api/v1",
    "<host>/v1",
    "<host>:<port>/v1/users/{id}",
    "localhost:8080/api/v1/x",
    "localhost:9200/_cat/shards?v&h=index,shard",
    "127.0.0.1:8080/x",
    "[::1]:8080/x",
    "10.0.0.5/api/v1",
    ":8080/metrics",
    "checkout-api:8080/v1/orders",
    "api.example.com/v1/x",
    "api.acme.museum/v1/x",
    "*.example.com/api",
    "api.{region}.example.com/v1/x",
    "/api/{id}/x?y=z",
    "/api/*",
    "/-/healthy",
    "/boards/[id]",
    "/docs/[...slug]",
    "/events/(event)/lists/",
    "/reverse/{lat},{lon}",
    "/topics/(?P<id>\\d+)",
    "/orders?postcode=…",
    "/orders.v1.OrderService/GetOrder",
    "orders.v1.OrderService.GetOrder",
    "OrderService/GetOrder",
    "OrderService.Get",
    "sa.AddPrecertificate",
    ".well-known/openid-configuration",
]

SPLIT = [
    ("MAX_POOL_SIZE=20", "MAX_POOL_SIZE = 20"),
    ("--flag=value", "--flag = value"),
    ("boto3==1.28", "boto3 == 1.28"),
    ("Kafka-based", "Kafka - based"),
    ("user-facing", "user - facing"),
    ("redis-backed", "redis - backed"),
    ("non-Kubernetes", "non - Kubernetes"),
    ("pre-deploy", "pre - deploy"),
    ("Redis/Memcached", "Redis / Memcached"),
    ("openshift/okd", "openshift / okd"),
    ("Node.js/Express", "Node.js / Express"),
    ("GET/POST", "GET / POST"),
    ("auth-svc->redis:6379", "auth-svc -> redis:6379"),
    ("_emphasis_", "_ emphasis _"),
    ("edge→origin", "edge → origin"),
    ("(/healthz)", "( /healthz )"),
    ("/v1/users.", "/v1/users ."),
    ("/v1/users:", "/v1/users :"),
    ('"/a/b",', '" /a/b " ,'),
    ("`/api/v1/{id}`,", "` /api/v1/{id} ` ,"),
    ("[link](/docs/x)", "[ link ]( /docs/x )"),
    ("url=/api/v2/x", "url = /api/v2/x"),
    ("`min`/`--scan-max`", "` min `/` --scan-max `"),
    ("**Redis**", "* * Redis * *"),
    ("Redis's", "Redis 's"),
    ("checkout-api's", "checkout-api 's"),
    ("sshd[123]:", "sshd [ 123 ] :"),
    ("level=info", "level = info"),
    ('"level":"info"', '" level ":" info "'),
    ("chore(edge-relay):", "chore ( edge-relay ):"),
    ("a|b", "a | b"),
    ("|Redis|", "| Redis |"),
    ("rw_app@scoreboard", "rw_app @ scoreboard"),
    ("hsm-fra-01:1500,hsm-fra-02:1500", "hsm-fra-01:1500 , hsm-fra-02:1500"),
    ("don't", "do n't"),
    ("{{name}}", "{ { name } }"),
    pytest.param("Redis+Postgres6", "Redis + Postgres6", id="plus"),
    pytest.param(
        "Kafka-Streams",
        "Kafka - Streams",
        marks=pytest.mark.xfail(reason="parts written alike are taken for one name", strict=True),
    ),
    ("reel.io/encode=off", "reel.io/encode = off"),
    ("`Redis`/Memcached", "` Redis `/ Memcached"),
    ("`repository`-queue", "` repository `- queue"),
    ("auth-api/billing-api", "auth-api / billing - api"),
    ("--no-cache/--pull", "--no-cache / --pull"),
    ("'redis':'cache-01'", "' redis ':' cache-01 '"),
    ('\\"Redis\\",', '\\ " Redis \\ " ,'),
    ("Kafka&Redis", "Kafka & Redis"),
    ("/feed/.", "/feed/ ."),
    ("protobuf!=3.20", "protobuf != 3.20"),
    ("tokio::spawn", "tokio :: spawn"),
    ("https://a.io/x|https://b.io/y", "https://a.io/x | https://b.io/y"),
    ("url={{API_URL}}/api", "url = {{API_URL}}/api"),
    ("[docs](<host>/v1)", "[ docs ]( <host>/v1 )"),
    ("path=/users/{id}", "path = /users/{id}"),
    ("**/api/v1**", "* * /api/v1 * *"),
    ("[/v1/x?y=z]", "[ /v1/x?y=z ]"),
    ("/users/{id}->200", "/users/{id} -> 200"),
    ("<code>/api/v1</code>", "< code > /api/v1 < /code >"),
    ("$GOPATH/bin", "$ GOPATH / bin"),
    ("${CONFIG_DIR}/app.yml", "$ { CONFIG_DIR } /app.yml"),
    ("kafka.The", "kafka . The"),
    ("OrderService.The", "OrderService . The"),
    ("OrderService/StockService", "OrderService / StockService"),
    ("a={1}/>", "a ={ 1 } / >"),
    (":07/01/2020", ": 07/01/2020"),
    ("\u200bcheckout-api\u200b,", "\u200b checkout-api \u200b ,"),
    ("\u200bcheckout-api", "\u200b checkout-api"),
    ("\ufeffX-Forwarded-For\ufeff", "\ufeff X-Forwarded-For \ufeff"),
    ("\u2060grpc.health.v1.Health/Check", "\u2060 grpc.health.v1.Health/Check"),
    ("\u200elocalhost:8080/api/v1/x\u200e", "\u200e localhost:8080/api/v1/x \u200e"),
    ("pay\u200bments-api", "pay\u200bments-api"),
    ("(`\ufeffRedis\u2060`)", "( ` \ufeff Redis \u2060 ` )"),
    ("url=\u200e/api/v2/x\u200e", "url = \u200e /api/v2/x \u200e"),
    ("Redis\u00ad.", "Redis \u00ad ."),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("\u0d28\u0d4d\u200d", "\u0d28\u0d4d\u200d"),
]


@pytest.fixture(scope="module")
def nlp() -> Language:
    return create_customize_tokenizer()(spacy.blank("en"))


def tokens(nlp: Language, text: str) -> list[str]:
    return [token.text for token in nlp.make_doc(text)]


def patterns(nlp: Language) -> list[str | None]:
    tokenizer = nlp.tokenizer
    rules = (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer, tokenizer.url_match)
    return [rule and rule.__self__.pattern for rule in rules]


@pytest.mark.parametrize("name", WHOLE)
def test_a_name_is_one_token_wherever_it_stands(nlp, name):
    assert tokens(nlp, name) == [name]
    assert tokens(nlp, f"see {name}, then") == ["see", name, ",", "then"]
    assert tokens(nlp, f"(`{name}`)") == ["(", "`", name, "`", ")"]
    assert tokens(nlp, f'use "{name}".') == ["use", '"', name, '"', "."]


@pytest.mark.parametrize(("text", "expected"), SPLIT)
def test_a_token_ends_where_an_annotation_may_end(nlp, text, expected):
    assert tokens(nlp, text) == expected.split(" ")


@given(st.text())
@example("/a/{b}?c=`d`->--e-f=g")
@settings(max_examples=300)
def test_the_text_is_kept(text):
    doc = CUSTOMIZED.make_doc(text)
    assert doc.text == text
    assert all(text[token.idx : token.idx + len(token)] == token.text for token in doc)


@given(st.text(alphabet="ab1A./-_@:={}<>[]()`\"'|,?*$#+ \n", max_size=60))
@settings(max_examples=500)
def test_the_text_is_kept_also_where_it_is_all_marks(text):
    assert CUSTOMIZED.make_doc(text).text == text


CUSTOMIZED = create_customize_tokenizer()(spacy.blank("en"))


@pytest.mark.parametrize("language", ["en", "de", "fr", "hu", "tr", "hi", "ru", "xx"])
def test_applied_twice_is_applied_once(language):
    nlp = create_customize_tokenizer()(spacy.blank(language))
    once = patterns(nlp)
    assert patterns(create_customize_tokenizer()(nlp)) == once
    assert tokens(nlp, "checkout-api: `/api/v2/{id}`") == ["checkout-api", ":", "`", "/api/v2/{id}", "`"]


def test_the_rules_a_tokenizer_has_are_still_there():
    nlp = spacy.blank("en")
    nlp.tokenizer.prefix_search = util.compile_prefix_regex([*nlp.Defaults.prefixes, "¤¤"]).search
    nlp.tokenizer.suffix_search = util.compile_suffix_regex([*nlp.Defaults.suffixes, "¦¦"]).search
    nlp.tokenizer.infix_finditer = re.compile("(?i)" + "|".join([*nlp.Defaults.infixes, "xyx"])).finditer
    nlp.tokenizer.token_match = re.compile(r"\d+:\d+,").match
    nlp.tokenizer.add_special_case("gimme", [{"ORTH": "gim"}, {"ORTH": "me"}])
    customize_tokenizer(nlp.tokenizer)
    assert tokens(nlp, "¤¤abc¦¦ lXYXr 1:2, gimme /a/b") == [
        "¤¤",
        "abc",
        "¦¦",
        "l",
        "XYX",
        "r",
        "1:2,",
        "gim",
        "me",
        "/a/b",
    ]


def test_a_tokenizer_without_rules_gets_them():
    nlp = spacy.blank("en")
    tokenizer = nlp.tokenizer
    tokenizer.prefix_search = tokenizer.suffix_search = tokenizer.infix_finditer = tokenizer.url_match = None
    customize_tokenizer(tokenizer)
    assert tokens(nlp, "url=/api/v2/x") == ["url", "=", "/api/v2/x"]


def test_a_saved_model_needs_no_plugin(tmp_path, nlp):
    nlp.to_disk(tmp_path / "model")
    text = " ".join([*WHOLE, "MAX_POOL_SIZE=20 (/healthz) auth-svc->redis:6379 [a](/b/c), Kafka-based"])
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
    assert done.stdout.splitlines() == tokens(nlp, text)


def test_spacy_explains_the_same_tokens(nlp):
    for text in WHOLE:
        assert [token for _, token in nlp.tokenizer.explain(text)] == tokens(nlp, text)


def test_a_config_finds_the_callback_by_its_entry_point():
    assert NAME in util.registry.callbacks.get_entry_points()
    config = util.load_config_from_str(
        f'[nlp]\nlang = "en"\npipeline = []\n[initialize]\n[initialize.before_init]\n@callbacks = "{NAME}"\n'
    )
    nlp = util.load_model_from_config(config, auto_fill=True)
    nlp.initialize()
    assert tokens(nlp, "checkout-api") == ["checkout-api"]


def test_a_tokenizer_without_rules_to_add_to_is_refused():
    nlp = spacy.blank("zh")
    with pytest.raises(UserError, match=r"'zh' .* has no rules to add to"):
        create_customize_tokenizer()(nlp)


HOSTILE = [
    "/a",
    "-a",
    "{",
    "a.",
    "(",
    "a=",
    "@a",
    ":",
    "a",
    "a-",
    "/{",
    "<",
    "a:1",
    '"',
    "))))a",
    "$",
    "a,",
    "?a=",
    "é-",
    "{a},",
    "{{a}}",
    "$a",
    "<a>",
    ":80/",
    "a{b}",
    "a.Get",
]


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_length_and_not_with_its_square(nlp, unit):
    def seconds(length: int) -> float:
        text = ("x" + unit * length)[:length]
        start = time.process_time()
        nlp.make_doc(text)
        return time.process_time() - start

    # Eight times the text: 8 where time is linear, 64 where it is quadratic. A floor, since the clock is coarse.
    assert seconds(1_000_000) < 24 * max(seconds(125_000), 0.1)
