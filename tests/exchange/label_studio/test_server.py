"""The round trip through a real Label Studio, and what a person is told when a server says no."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio import connection as label_studio_connection
from spacy_domain_ner.exchange.label_studio.controls import for_control, label_control
from spacy_domain_ner.exchange.label_studio.server import (
    Imported,
    LabelStudioServer,
    Project,
)

pytestmark = pytest.mark.slow

LABELS = ["SERVICE", "INFRA"]
INTERFACE = (
    '<View><Labels name="label" toName="text"><Label value="SERVICE"/><Label value="INFRA"/></Labels>'
    '<Text name="text" value="$text"/></View>'
)
LEGACY = "f" * 40
PAGE = (200, {"Content-Type": "text/html"}, b"<!doctype html><title>Router</title>")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch) -> None:
    monkeypatch.setattr(label_studio_connection, "PAUSES", (0.01, 0.01))


@pytest.fixture
def server(label_studio) -> Iterator[LabelStudioServer]:
    with LabelStudioServer(label_studio.url, label_studio.owner.legacy) as server:
        yield server


@pytest.fixture
def title(request) -> str:
    """A title that no other test has."""
    return f"{request.node.name[:40]} {os.urandom(4).hex()}"


@pytest.fixture
def project(server, title) -> Project:
    return server.create_project(title, INTERFACE)


def task(text: str, source: str = "page-1", label: str = "INFRA") -> dict[str, Any]:
    """A task whose first word is predicted to be a mention."""
    end = len(text.split()[0])
    value = {"start": 0, "end": end, "text": text[:end], "labels": [label]}
    result = {"id": "p0", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
    prediction = {"model_version": "en_software_ner-0.1.0", "score": 0.5, "result": [result]}
    return {"data": {"text": text, "meta": {"source": source}}, "predictions": [prediction]}


def tasks(number: int) -> list[dict[str, Any]]:
    return [task(f"Redis {each} is slow") for each in range(number)]


def in_project(label_studio, project: Project) -> list[dict[str, Any]]:
    """The project's tasks with their predictions."""
    return label_studio.request("GET", f"/api/tasks/?project={project.id}&fields=all&page_size=5000")["tasks"]


def refusal(function: Callable[[], object], *expected: str, secrets: tuple[str, ...] = ()) -> str:
    """The error a function ends with: it has the expected words and shows no token."""
    with pytest.raises(UserError) as raised:
        function()
    said = str(raised.value)
    for words in expected:
        assert words in said
    assert raised.value.hint
    for secret in (LEGACY, *secrets):
        assert secret not in said
    return said


# Projects


def test_a_project_is_found_by_its_number_and_by_its_exact_title(server, project):
    assert server.find_project(str(project.id)) == project
    assert server.find_project(f" {project.title} ") == project
    assert server.find_project(project.title[:-1]) is None
    assert server.find_project(project.title.upper()) is None
    assert server.existing_project(project.title) == project


def test_a_project_is_found_beyond_the_first_page(server, monkeypatch):
    monkeypatch.setattr("spacy_domain_ner.exchange.label_studio.server._PROJECTS_PAGE", 4)
    first = server.create_project("paged", INTERFACE)
    for number in range(9):
        server.create_project(f"paged {number}", "<View></View>")
    assert server.find_project("paged") == first


def test_a_title_that_is_a_number_is_a_title_where_no_project_has_the_number(server):
    project = server.create_project("987654321", INTERFACE)
    assert server.find_project("987654321") == project


def test_two_projects_of_one_title_must_be_told_apart(server, title):
    numbers = [server.create_project(title, INTERFACE).id for _ in range(2)]
    refusal(lambda: server.find_project(title), f"2 projects have the title {title!r}", f"{numbers[0]}, {numbers[1]}")


@pytest.mark.parametrize("wanted", ["no such project", "123456789", "99999999999999999999", "%", "'; --"])
def test_no_such_project(server, wanted):
    assert server.find_project(wanted) is None
    refusal(lambda: server.existing_project(wanted), repr(wanted), "`project`")


@pytest.mark.parametrize("title", ["ab", " a ", "x" * 51, "\U0001f525" * 2])
def test_a_title_that_label_studio_refuses_is_refused_before_it_is_asked(server, title):
    refusal(lambda: server.create_project(title, INTERFACE), "3 to 50")


def test_titles_of_3_and_of_50_characters_are_taken(server):
    for title in ("\U0001f525a\u0301", "ß" * 50):
        assert server.create_project(title, INTERFACE).title == title
        assert server.find_project(title) is not None


@pytest.mark.parametrize(
    ("interface", "said"),
    [("<View><Labels", "unclosed token"), (INTERFACE.replace('toName="text"', 'toName="nope"'), 'toName="nope" not')],
)
def test_the_servers_own_words_say_what_is_wrong_with_an_interface(server, title, interface, said):
    refusal(lambda: server.create_project(title, interface), "label_config", said)


@pytest.mark.parametrize(
    ("interface", "expected"),
    [
        ("<View></View>", ["no labelling interface yet"]),
        (
            '<View><Choices name="kind" toName="text"><Choice value="A"/></Choices>'
            '<Text name="text" value="$text"/></View>',
            ["no Labels on a Text", "Choices 'kind'"],
        ),
        (INTERFACE.replace("<Text", "<HyperText"), ["no Labels on a Text"]),
        (INTERFACE.replace("$text", "$body"), ["shows $body", "$text"]),
        (INTERFACE.replace('<Label value="INFRA"/>', ""), ["lacks the label(s) INFRA"]),
    ],
)
def test_what_an_existing_projects_interface_lacks_is_named(server, title, interface, expected):
    project = server.create_project(title, interface)
    refusal(lambda: label_control(project, LABELS), title, *expected, "domain-ner interface label-studio")


def test_an_interface_with_other_names_and_further_labels_will_do(server, label_studio, title):
    more = INTERFACE.replace('name="label"', 'name="ner"').replace('"text"', '"shown"').replace("</Labels>", (
        '<Label value="TEAM"/></Labels><Choices name="kind" toName="shown"><Choice value="A"/></Choices>'
    ))  # fmt: skip
    project = server.create_project(title, more)
    control = label_control(project, LABELS)
    assert (control.name, control.to_name, control.further_labels) == ("ner", "shown", ["TEAM"])
    server.import_tasks(project, for_control(tasks(1), control))
    (made,) = in_project(label_studio, project)
    assert made["predictions"][0]["result"][0]["from_name"] == "ner"
    assert made["predictions"][0]["result"][0]["to_name"] == "shown"


def test_labels_that_come_with_each_task_are_not_missing(server, title):
    project = server.create_project(
        title, '<View><Labels name="l" toName="t" value="$labels"/><Text name="t" value="$text"/></View>'
    )
    assert label_control(project, LABELS).name == "l"


# Tasks


def test_tasks_are_created_with_their_predictions(server, label_studio, project):
    reported: list[Imported] = []
    given = [task("Redis is slow"), task("checkout-api waits", "page-2", "SERVICE")]
    assert server.import_tasks(project, given, report=reported.append) == Imported(created=2, skipped=0)
    assert reported[-1] == Imported(2, 0)
    made = in_project(label_studio, project)
    assert [each["data"] for each in made] == [each["data"] for each in given]
    for each, wanted in zip(made, given, strict=True):
        (prediction,) = each["predictions"]
        (expected,) = wanted["predictions"]
        assert prediction["score"] == 0.5
        assert prediction["model_version"] == "en_software_ner-0.1.0"
        assert prediction["result"] == expected["result"]


def test_a_second_push_creates_only_what_is_new(server, label_studio, project):
    server.import_tasks(project, tasks(3))
    assert server.import_tasks(project, tasks(3)) == Imported(created=0, skipped=3)
    assert server.import_tasks(project, tasks(5)) == Imported(created=2, skipped=3)
    # The same text of another source is another passage; the same one twice in one push is one.
    twice = [task("Redis 0 is slow", "page-2"), task("Redis 0 is slow", "page-2")]
    assert server.import_tasks(project, twice) == Imported(created=1, skipped=1)
    assert server.import_tasks(project, tasks(2), again=True) == Imported(created=2, skipped=0)
    assert len(in_project(label_studio, project)) == 8


def test_no_tasks_are_no_error(server, project):
    assert server.import_tasks(project, []) == Imported(0, 0)


def test_thousands_of_tasks_go_in_batches_and_are_known_again(server, start_proxy, label_studio, project):
    proxy = start_proxy(label_studio.url)
    reported: list[Imported] = []
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        assert server.import_tasks(project, tasks(1_201), report=reported.append) == Imported(1_201, 0)
        assert [each.created for each in reported] == [500, 1_000, 1_201]
        assert server.import_tasks(project, iter(tasks(1_300))) == Imported(99, 1_201)
    assert server.find_project(str(project.id)).tasks == 1_300


def test_batches_stay_below_what_proxies_let_through(start_proxy, label_studio, project):
    proxy = start_proxy(label_studio.url)
    long = [task(f"Redis {number} " + "é" * 100_000) for number in range(12)]
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        assert server.import_tasks(project, long).created == 12
    sizes = [asked.size for asked in proxy.asked if asked.path.endswith("/import")]
    assert len(sizes) == 3
    assert max(sizes) < 1_000_000


@pytest.mark.parametrize("failure", ["cut", (502, {}, b"<html>Bad Gateway</html>"), (413, {}, b""), (401, {}, b"")])
def test_a_push_that_fails_in_the_middle_says_how_far_it_got_and_can_be_repeated(
    start_proxy, label_studio, project, failure
):
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: failure if asked.path.endswith("/import") and proxy.count("/import") > 2 else None
    given = tasks(1_100)
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        refusal(lambda: server.import_tasks(project, given), "1000 task(s) had been created", "are left out")
        proxy.instead = lambda asked: None
        assert server.import_tasks(project, given) == Imported(created=100, skipped=1_000)


def test_an_answer_that_is_lost_does_not_double_the_tasks(start_proxy, label_studio, project):
    """The server has created the batch, but the line breaks before it can say so."""
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: "cut in the middle" if asked.path.endswith("/import") else None
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        refusal(lambda: server.import_tasks(project, tasks(20)), "0 task(s) had been created", "broke off")
        proxy.instead = lambda asked: None
        assert server.import_tasks(project, tasks(20)) == Imported(created=0, skipped=20)


def test_a_task_that_the_server_refuses_is_named_in_its_words(server, project):
    refusal(lambda: server.import_tasks(project, [{"data": {"txt": "Redis"}}]), '"text" key is expected')


def test_an_import_that_goes_on_after_the_answer_is_waited_for(
    start_proxy, label_studio, project, json_answer, monkeypatch
):
    """As Label Studio Enterprise does it."""
    monkeypatch.setattr("spacy_domain_ner.exchange.label_studio.server._POLL_SECONDS", 0.01)
    proxy = start_proxy(label_studio.url)
    states = iter(["created", "in_progress", "completed", "failed"])

    def instead(asked: Any) -> Any:
        if asked.path.endswith("/import"):
            return json_answer(201, {"import": 7})
        if "/imports/7/" in asked.path:
            return json_answer(200, {"status": next(states), "task_count": 3, "error": "row 2 is broken"})
        return None

    proxy.instead = instead
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        assert server.import_tasks(project, tasks(3)).created == 3
        refusal(lambda: server.import_tasks(project, tasks(3)), "row 2 is broken")


# Exports


def test_the_export_has_annotated_tasks_only_unless_all_are_asked_for(server, label_studio, project, tmp_path):
    server.import_tasks(project, tasks(3))
    first = in_project(label_studio, project)[0]
    label_studio.request("POST", f"/api/tasks/{first['id']}/annotations/", {"result": []})
    sizes: list[int] = []
    path = tmp_path / "new/export.json"
    server.download_export(project, path, report=sizes.append)
    assert [each["id"] for each in json.loads(path.read_bytes())] == [first["id"]]
    assert sum(sizes) == path.stat().st_size
    server.download_export(project, path, all_tasks=True)
    assert len(json.loads(path.read_bytes())) == 3


@pytest.mark.parametrize("failure", [(404, {}, b""), (504, {}, b"<html></html>"), "wait"])
@pytest.mark.parametrize("all_tasks", [False, True])
def test_a_snapshot_is_made_where_the_direct_export_fails(
    server, start_proxy, label_studio, project, tmp_path, failure, all_tasks
):
    server.import_tasks(project, tasks(2))
    first = in_project(label_studio, project)[0]
    label_studio.request("POST", f"/api/tasks/{first['id']}/annotations/", {"result": []})
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: failure if "/export?" in asked.path else None
    path = tmp_path / "export.json"
    with LabelStudioServer(proxy.url, label_studio.owner.legacy, answer_seconds=3) as through:
        through.download_export(project, path, all_tasks)
    assert len(json.loads(path.read_bytes())) == (2 if all_tasks else 1)
    assert label_studio.request("GET", f"/api/projects/{project.id}/exports/") == []


def test_a_snapshot_that_takes_longer_than_an_answer_may_is_waited_for(
    server, start_proxy, label_studio, project, tmp_path, monkeypatch
):
    monkeypatch.setattr("spacy_domain_ner.exchange.label_studio.server._POLL_SECONDS", 0.01)
    server.import_tasks(project, tasks(2))
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: (
        (504, {}, b"") if "/export?" in asked.path
        else "too late" if asked.path.endswith("/exports/") and asked.method == "POST"
        else None
    )  # fmt: skip
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as through:
        through.download_export(project, tmp_path / "export.json", all_tasks=True)
    assert len(json.loads((tmp_path / "export.json").read_bytes())) == 2


def test_a_download_that_breaks_off_leaves_the_old_file(start_proxy, label_studio, project, tmp_path):
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: "cut in the middle" if "/export?" in asked.path else None
    path = tmp_path / "export.json"
    path.write_text("old")
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        server.import_tasks(project, tasks(50))
        refusal(lambda: server.download_export(project, path, all_tasks=True), "broke off")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["export.json"]


# Tokens


def test_both_kinds_of_token_are_taken_also_with_white_space_around_them(label_studio, project):
    for token in (label_studio.owner.legacy, label_studio.second.personal, f" {label_studio.owner.personal}\n"):
        with LabelStudioServer(label_studio.url, token) as server:
            assert server.find_project(str(project.id)) == project


def test_a_personal_token_is_renewed_when_its_time_is_up(start_proxy, label_studio, project, monkeypatch):
    proxy = start_proxy(label_studio.url)
    with LabelStudioServer(proxy.url, label_studio.owner.personal) as server:
        server.import_tasks(project, tasks(3))
        assert proxy.count("/api/token/refresh/") == 1
        monkeypatch.setattr(label_studio_connection, "RENEW_AFTER_SECONDS", -1)
        assert server.import_tasks(project, tasks(3)).skipped == 3
        assert proxy.count("/api/token/refresh/") > 1


def test_a_personal_token_is_renewed_in_the_middle_of_a_push(start_proxy, label_studio, project):
    """The access token is refused once, as one is that has run out."""
    proxy = start_proxy(label_studio.url)
    refused: list[str] = []

    def instead(asked: Any) -> Any:
        if asked.path.endswith("/import") and proxy.count("/import") == 2 and not refused:
            refused.append(asked.path)
            return 401, {"Content-Type": "application/json"}, b'{"detail": "Token is expired"}'
        return None

    proxy.instead = instead
    with LabelStudioServer(proxy.url, label_studio.owner.personal) as server:
        assert server.import_tasks(project, tasks(1_100)) == Imported(1_100, 0)
    assert refused
    assert proxy.count("/api/token/refresh/") == 2


def test_a_wrong_token(label_studio):
    for token in (LEGACY, "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl"):
        with LabelStudioServer(label_studio.url, token) as server:
            refusal(
                lambda: server.find_project("1"), "does not accept the token", "LABEL_STUDIO_TOKEN", secrets=(token,)
            )


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("geheim\nX-Header: 1", "characters"),
        ("gehe\u0300im", "characters"),
        ("eyJgeheim.eyJgeheim", "only part of a personal access token"),
    ],
)
def test_what_can_be_no_token_is_refused_without_showing_it(token, said):
    assert "gehe" not in refusal(lambda: LabelStudioServer("http://127.0.0.1", token), said)


def test_a_legacy_token_where_those_are_turned_off(label_studio):
    label_studio.turn_tokens(legacy=False, personal=True)
    try:
        with LabelStudioServer(label_studio.url, label_studio.owner.legacy) as server:
            refusal(
                lambda: server.find_project("1"), "legacy token", "Make a personal access token",
                secrets=(label_studio.owner.legacy,),
            )  # fmt: skip
        with LabelStudioServer(label_studio.url, label_studio.owner.personal) as server:
            server.find_project("1")
    finally:
        label_studio.turn_tokens(legacy=True, personal=True)


def test_a_personal_token_where_those_are_turned_off(label_studio):
    label_studio.turn_tokens(legacy=True, personal=False)
    try:
        with LabelStudioServer(label_studio.url, label_studio.owner.personal) as server:
            refusal(lambda: server.find_project("1"), "may be turned off", secrets=(label_studio.owner.personal,))
    finally:
        label_studio.turn_tokens(legacy=True, personal=True)


def test_a_personal_token_that_was_revoked(label_studio, project):
    revoked = label_studio.second.personal
    label_studio.request("POST", "/api/token/blacklist/", {"refresh": revoked}, label_studio.second)
    label_studio.second.personal = label_studio.request("POST", "/api/token/", {}, label_studio.second)["token"]
    with LabelStudioServer(label_studio.url, revoked) as server:
        refusal(lambda: server.find_project("1"), "was revoked", secrets=(revoked,))


def test_a_user_who_was_removed_sees_no_project_and_makes_none(label_studio, project):
    """Label Studio would make one that belongs to no organization, and let nobody see it."""
    removed = label_studio.sign_up("removed@example.com")
    label_studio.request("DELETE", f"/api/organizations/1/memberships/{removed.id}/")
    with LabelStudioServer(label_studio.url, removed.legacy) as server:
        refusal(lambda: server.existing_project(project.title), "sees no project")
        refusal(lambda: server.create_project("a title", INTERFACE), "no organization")
        assert server.find_project("a title") is None
    with LabelStudioServer(label_studio.url, removed.personal) as server:
        refusal(lambda: server.existing_project(project.title), "failed (500)")


# Servers that are none, and lines that break


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("labels.example.com", "not an address"),
        ("ftp://labels.example.com", "not an address"),
        ("http://", "not an address"),
        ("http://exa mple.com", "not an address"),
        ("http://127.0.0.1:99999", "not an address"),
        ("http://[::1", "not an address"),
        (f"http://{'a' * 70}.com", "not an address"),
        ("http://user:geheim@labels.example.com", "a password in it"),
    ],
)
def test_an_address_that_is_none(url, said):
    assert "geheim" not in refusal(lambda: LabelStudioServer(url, LEGACY), said)


@pytest.mark.parametrize("tail", ["/", "/projects/3/data?tab=2", "/user/account/personal-access-token", "/api/"])
def test_the_address_of_a_page_will_do(label_studio, project, tail):
    with LabelStudioServer(label_studio.url + tail, label_studio.owner.legacy) as server:
        assert server.find_project(str(project.id)) == project
        assert server.address_of(project) == f"{label_studio.url}/projects/{project.id}/data"


def test_nobody_answers():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with LabelStudioServer(f"http://127.0.0.1:{port}", LEGACY) as server:
        refusal(lambda: server.find_project("1"), "Can't reach", "refused")
    with LabelStudioServer("http://labels.invalid", LEGACY) as server:
        refusal(lambda: server.find_project("1"), "Can't reach http://labels.invalid")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PAGE, "does not look like a Label Studio server: it answers with a web page"),
        ((404, {}, b"not here"), "does not look like a Label Studio server: it answers 404"),
        ((200, {"Content-Type": "application/json"}, b'{"version": 1}'), "does not look like a Label Studio server"),
        ((200, {"Content-Type": "application/json"}, b"{bro"), "does not look like a Label Studio server"),
        (
            (302, {"Location": "https://sso.example.com/login?next=x"}, b""),
            "redirects to https://sso.example.com/login\n",
        ),
        ((502, {}, b"<html></html>"), "gets no answer from it (502)"),
        ((429, {}, b""), "too many requests"),
        ("cut", "broke off"),
        ("wait", "did not answer within 0.3 seconds"),
    ],
)
def test_what_is_no_label_studio_never_sees_the_token(start_proxy, answer, said):
    proxy = start_proxy()
    proxy.instead = lambda asked: answer
    for token in (LEGACY, "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl"):
        with LabelStudioServer(proxy.url, token, answer_seconds=0.3) as server:
            refusal(lambda: server.find_project("1"), said)
    assert proxy.asked
    assert {(asked.path, asked.authorization, asked.size) for asked in proxy.asked} == {("/api/version", None, 0)}


def test_https_where_the_server_has_none(label_studio):
    with LabelStudioServer(label_studio.url.replace("http:", "https:"), LEGACY) as server:
        refusal(lambda: server.find_project("1"), "No safe connection", "http:")


def test_a_redirect_to_another_host_does_not_get_the_token(start_proxy, label_studio):
    other = start_proxy(label_studio.url)
    proxy = start_proxy(label_studio.url)

    def instead(asked: Any) -> Any:
        return (307, {"Location": other.url + asked.path}, b"") if "/api/projects/" in asked.path else None

    proxy.instead = instead
    for token in (label_studio.owner.legacy, label_studio.owner.personal):
        with LabelStudioServer(proxy.url, token) as server:
            refusal(lambda: server.find_project("1"), f"redirects to {other.url}", secrets=(token,))
    assert other.asked == []


def test_a_netrc_does_not_take_the_tokens_place(label_studio, project, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with LabelStudioServer(label_studio.url, label_studio.owner.legacy) as server:
        assert server.find_project(str(project.id)) == project


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {"Content-Type": "application/json"}, b'{"detail": "You do not have permission"}'), "may not do this"),
        ((500, {"Content-Type": "application/json"}, b'{"detail": "database is locked"}'), "database is locked"),
        ((400, {"Content-Type": "application/json"}, b'{"title": ["Too dull."]}'), "(400)"),
        ((200, {"Content-Type": "application/json"}, b'["a list"]'), "a form that is not known"),
        (PAGE, "a web page"),
        ((401, {"Content-Type": "application/json"}, b'{"detail": "Token %s?"}' % LEGACY.encode()), "Token [token]?"),
    ],
)
def test_what_the_server_says_to_a_request_is_passed_on_without_the_token(start_proxy, label_studio, answer, said):
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: None if asked.path == "/api/version" else answer
    with LabelStudioServer(proxy.url, LEGACY) as server:
        refusal(lambda: server.create_project("a title", INTERFACE), said)


def test_a_web_page_in_the_exports_place_is_no_export(start_proxy, label_studio, project, tmp_path):
    proxy = start_proxy(label_studio.url)
    proxy.instead = lambda asked: PAGE if "/export?" in asked.path else None
    with LabelStudioServer(proxy.url, label_studio.owner.legacy) as server:
        refusal(lambda: server.download_export(project, tmp_path / "export.json"), "a web page")
    assert not (tmp_path / "export.json").exists()
