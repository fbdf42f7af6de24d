"""The guard in front of Dagster's webserver, asked over HTTP as a browser and as an attacker asks the real one.

Each request carries the same mutation; whether it ran is read from Dagster's own storage.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote

import pytest
from dagster import DagsterInstance

from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.supervisor.asking import answers
from entropy_assets_tests.e2e.running import clean_environment
from entropy_assets_tests.ports import free_port

JSON = ("Content-Type", "application/json")
PUBLIC = "https://dagster.example"
LIMIT = 'mutation {setConcurrencyLimit(concurrencyKey: "%s", limit: 7)}'

Header = tuple[str, str]


@dataclass
class Webserver:
    """A webserver as ``entropy-assets up`` starts it, on a home without definitions."""

    port: int
    folder: Path
    instance: DagsterInstance

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, *headers: Header, body: bytes = b"", host: str | None = None) -> HTTPResponse:
        """Send one request with exactly these headers, and give the answer, read to its end.

        A server that refuses a request before it read its body closes the connection with the rest unread, which may
        reset it behind the head of the answer: then there is no text.
        """
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if not any(name == "Host" for name, _ in headers) and host != "":
                connection.putheader("Host", host or self.host)
            for header in headers:
                connection.putheader(*header)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            answer.text = ""  # type: ignore[attr-defined]
            with suppress(ConnectionResetError):
                answer.text = answer.read().decode()  # type: ignore[attr-defined]
            return answer

    def limits(self) -> set[str]:
        """Give the keys that a mutation has set."""
        return {limit.name for limit in self.instance.event_log_storage.get_pool_limits()}


@pytest.fixture(scope="module")
def webserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (folder / "workspace.yaml").write_text("load_from: []\n")
    port = free_port()
    place = ("--workspace", str(folder / "workspace.yaml"), "--host", "127.0.0.1", "--port", str(port))
    environment = clean_environment(DAGSTER_HOME=str(folder), ENTROPY_DAGSTER_URL=PUBLIC, PYTHONWARNINGS="ignore")
    command = [sys.executable, "-m", "entropy_assets.supervisor.webserver", *place]
    process = OwnedProcess(command, environment=environment, log=folder / "log")
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}", "/server_info"):
            assert process.exit_code is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with DagsterInstance.from_config(str(folder)) as instance:
            yield Webserver(port, folder, instance)
    finally:
        process.stop(5)


def mutation(key: str) -> bytes:
    return json.dumps({"query": LIMIT % key}).encode()


OWN: dict[str, tuple[Header, ...]] = {
    "a program": (),
    "its own page": (("Origin", "http://{host}"), ("Sec-Fetch-Site", "same-origin")),
    "its own page by name": (("Host", "localhost:{port}"), ("Origin", "http://localhost:{port}")),
    "its own page through a tunnel": (("Host", "127.0.0.1:9999"), ("Origin", "http://127.0.0.1:9999")),
    "its own page by IPv6": (("Host", "[::1]:{port}"), ("Origin", "http://[::1]:{port}")),
    "its own page behind a proxy": (("Host", "dagster.example"), ("Origin", PUBLIC)),
    "behind a proxy that says its own host": (("Origin", PUBLIC),),
    "JSON in UTF-8": (("Content-Type", "application/json; charset=utf-8"),),
}


@pytest.mark.parametrize("name", OWN)
def test_its_own_pages_and_programs_can_ask(webserver: Webserver, name: str) -> None:
    key = f"own-{list(OWN).index(name)}"
    headers = filled(webserver, OWN[name])
    kind = () if any(header[0] == "Content-Type" for header in headers) else (JSON,)
    answer = webserver.ask("POST", "/graphql", *kind, *headers, body=mutation(key))
    assert answer.status == 200
    assert key in webserver.limits()


def test_a_body_behind_an_unknown_upgrade_is_the_body_and_no_request_of_its_own(webserver: Webserver) -> None:
    """Some clients offer HTTP/2 with every request; a proxy in front takes the body for one."""
    offer = (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk"))
    assert webserver.ask("POST", "/graphql", JSON, *offer, body=mutation("upgrade")).status == 200
    assert "upgrade" in webserver.limits()


def filled(webserver: Webserver, headers: tuple[Header, ...]) -> list[Header]:
    return [(name, value.format(host=webserver.host, port=webserver.port)) for name, value in headers]


FOREIGN: dict[str, tuple[int, tuple[Header, ...]]] = {
    "a form of another site": (415, (("Content-Type", "text/plain"),)),
    "a form that only contains the type": (415, (("Content-Type", "text/plain; application/json"),)),
    "a form with a type behind another": (415, (JSON, ("Content-Type", "text/plain"))),
    "a form of files": (415, (("Content-Type", "multipart/form-data; boundary=application/json"),)),
    "a query as text": (415, (("Content-Type", "application/graphql"),)),
    "a parameter that is none": (415, (("Content-Type", "application/json; text/plain"),)),
    "no type": (415, ()),
    "a name that the attacker's DNS turned to here": (421, (JSON, ("Host", "rebound.example"))),
    "such a name with a port": (421, (JSON, ("Host", "rebound.example:{port}"))),
    "a name that begins like a known one": (421, (JSON, ("Host", "localhost.rebound.example"))),
    "a name that ends like a known one": (421, (JSON, ("Host", "x.dagster.example"))),
    "a user before the name": (421, (JSON, ("Host", "localhost@rebound.example"))),
    "a path behind the name": (421, (JSON, ("Host", "localhost/rebound.example"))),
    "numbers that go on as a name": (421, (JSON, ("Host", "127.0.0.1.rebound.example"))),
    "no port after the colon": (421, (JSON, ("Host", "localhost:port"))),
    "an empty host": (421, (JSON, ("Host", ""))),
    "another origin": (403, (JSON, ("Origin", "https://evil.example"))),
    "an origin that is hidden": (403, (JSON, ("Origin", "null"))),
    "another port of this machine": (403, (JSON, ("Origin", "http://127.0.0.1:8000"))),
    "an origin that begins like its own": (403, (JSON, ("Origin", "http://{host}.evil.example"))),
    "two origins": (403, (JSON, ("Origin", "http://{host}"), ("Origin", "https://evil.example"))),
    "a page in clear under its public name": (
        403,
        (JSON, ("Host", "dagster.example"), ("Origin", "http://dagster.example")),
    ),
    "another site without an origin": (403, (JSON, ("Sec-Fetch-Site", "cross-site"))),
    "another port without an origin": (403, (JSON, ("Sec-Fetch-Site", "same-site"))),
    "a form that another site sends its user to": (
        403,
        (JSON, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "document")),
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_page_of_another_site_can_not(webserver: Webserver, name: str) -> None:
    key = f"foreign-{list(FOREIGN).index(name)}"
    status, headers = FOREIGN[name]
    path = f"/graphql?query={quote(LIMIT % key)}"
    answer = webserver.ask("POST", path, *filled(webserver, headers), body=mutation(key))
    assert answer.status == status
    assert key not in webserver.limits()


def test_a_request_that_names_no_host_or_two_is_refused(webserver: Webserver) -> None:
    # two are refused by the server itself
    for headers in ((("Host", webserver.host), ("Host", "rebound.example")), ()):
        answer = webserver.ask("POST", "/graphql", JSON, *headers, body=mutation("hosts"), host="")
        assert answer.status == 400
    assert "hosts" not in webserver.limits()


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "", "application/json, text/html"])
@pytest.mark.parametrize("path", ["/graphql", "/%67raphql"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_an_address_never_runs_what_it_asks_for(webserver: Webserver, method: str, path: str, accept: str) -> None:
    """A link, an image and a prefetch can all have a browser ask for an address."""
    answer = webserver.ask(method, f"{path}?query={quote(LIMIT % 'by-address')}", ("Accept", accept))
    assert answer.status in (200, 405, 415)
    assert (answer.status == 200) == (method == "GET" and "text/html" in accept)
    assert "by-address" not in webserver.limits()


@pytest.mark.parametrize("kind", ["materialization", "check", "observation"])
def test_no_form_can_report_something_about_an_asset(webserver: Webserver, kind: str) -> None:
    """These routes read what they are told from the address."""
    path = f"/report_asset_{kind}/raw_images?partition=x&passed=true&check_name=runs"
    for headers in ((), (("Content-Type", "text/plain"),), (JSON, ("Origin", "https://evil.example"))):
        assert webserver.ask("POST", path, *headers).status in (403, 415)
    assert not webserver.instance.all_asset_keys()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_no_other_method_is_answered_and_no_other_site_is_given_leave(webserver: Webserver, method: str) -> None:
    answer = webserver.ask(method, "/graphql", JSON, ("Access-Control-Request-Method", "POST"))
    assert answer.status == 405
    assert not [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/runs", "/graphql", "/server_info", "/logs/x", "/download_debug/x"])
def test_no_other_site_can_show_or_load_any_of_it(webserver: Webserver, path: str) -> None:
    answer = webserver.ask("GET", path, ("Accept", "text/html"))
    assert answer.getheader("x-frame-options") == "DENY"
    assert "frame-ancestors 'none'" in str(answer.getheader("content-security-policy"))
    assert answer.getheader("cross-origin-resource-policy") == "same-origin"
    for site in ("cross-site", "same-site"):
        loaded = webserver.ask("GET", path, ("Sec-Fetch-Site", site), ("Sec-Fetch-Dest", "iframe"))
        assert loaded.status == 403
        assert loaded.getheader("x-frame-options") == "DENY"


def test_who_follows_a_link_sees_the_page_and_a_prefetch_does_not(webserver: Webserver) -> None:
    """The page of the HTTP service links to it from another port."""
    link = (("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Dest", "document"), ("Accept", "text/html"))
    assert webserver.ask("GET", "/runs", *link).status == 200
    assert webserver.ask("GET", "/runs", *link, ("Sec-Purpose", "prefetch")).status == 403


SOCKETS: dict[str, tuple[bool, tuple[Header, ...]]] = {
    "its own page": (True, (("Origin", "http://{host}"),)),
    "a program": (True, ()),
    "another site": (False, (("Origin", "https://evil.example"),)),
    "another port": (False, (("Origin", "http://127.0.0.1:1"),)),
    "a name turned to here": (False, (("Host", "rebound.example"),)),
    "another site without an origin": (False, (("Sec-Fetch-Site", "cross-site"),)),
}


@pytest.mark.parametrize("name", SOCKETS)
def test_a_socket_is_opened_for_its_own_pages_alone(webserver: Webserver, name: str) -> None:
    """No browser asks before it opens a socket to another site."""
    opens, headers = SOCKETS[name]
    upgrade = (
        *(("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")),
        *(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Protocol", "graphql-ws")),
    )
    with closing(HTTPConnection("127.0.0.1", webserver.port, timeout=30)) as connection:
        given = filled(webserver, headers)
        connection.putrequest("GET", "/graphql", skip_host=any(header[0] == "Host" for header in given))
        for header in (*upgrade, *given):
            connection.putheader(*header)
        connection.endheaders()
        assert connection.getresponse().status == (101 if opens else 403)


def test_what_is_refused_is_told_without_a_word_of_the_request(webserver: Webserver) -> None:
    answer = webserver.ask("POST", "/graphql", JSON, ("Host", "forged.example\x1b[31m"), body=b"{}")
    assert "forged" not in answer.text  # type: ignore[attr-defined]
    assert "ENTROPY_DAGSTER_URL" in answer.text  # type: ignore[attr-defined]
    log = (webserver.folder / "log").read_text()
    assert "refused with 421" in log
    assert "forged" not in log
    assert "evil.example" not in log
