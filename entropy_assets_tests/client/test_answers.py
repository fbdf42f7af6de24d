"""What must hold of the lists of blocks and of the documents that a service answers with."""

import pytest

from entropy_assets.client import RandomClient
from entropy_assets.errors import BlockUnknown, NoBytes, RequestRefused
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good, status

N = 32
BLOCK = "0badcafe-0000-8000-8000-000000000000"
PROBLEM = "content-type: application/problem+json"


@pytest.mark.parametrize(
    "blocks",
    [
        None,
        "",
        "no list",
        f"{BLOCK}:0-31",
        f"{BLOCK}:0-33",
        f"{BLOCK}:40-8,{BLOCK}:0-64",
        f"{BLOCK}:0-16,{BLOCK}:16-32,",
        f"{BLOCK.upper()}:0-32",
        f"{BLOCK}:-16-16",
    ],
)
def test_a_public_answer_whose_blocks_do_not_add_up_is_refused(blocks: str | None) -> None:
    answer = answering(good(0, bytes(N), x_entropy_class="public", x_entropy_blocks=blocks))
    with (
        ScriptedServer(answer) as server,
        RandomClient([server.url]) as client,
        pytest.raises(NoBytes, match=r"blocks|X-Entropy-Blocks"),
    ):
        client.public(N)


@pytest.mark.parametrize(
    "body, kind",
    [
        ('{"block_id": "another"}', "application/json"),
        ("[]", "application/json"),
        ("[" * 100_000, "application/json"),
        (f'{{"block_id": "{BLOCK}"}}', "text/html"),
    ],
)
def test_provenance_of_another_block_or_none_is_refused(body: str, kind: str) -> None:
    with (
        ScriptedServer(status("200 OK", f"content-type: {kind}", body=body)) as server,
        RandomClient([server.url]) as client,
        pytest.raises(NoBytes),
    ):
        client.provenance(BLOCK)


def test_a_block_is_unknown_only_if_every_service_says_so() -> None:
    unknown = status("404 Not Found", PROBLEM, body='{"type": "/problems/unknown-block"}')
    known = status("200 OK", "content-type: application/json", body=f'{{"block_id": "{BLOCK}"}}')
    with ScriptedServer(unknown) as first, ScriptedServer(known) as second:
        with RandomClient([first.url, second.url]) as client:
            assert client.provenance(BLOCK) == {"block_id": BLOCK}
        with RandomClient([first.url]) as client, pytest.raises(BlockUnknown):
            client.provenance(BLOCK)
        with RandomClient([first.url, "http://127.0.0.1:1"]) as client, pytest.raises(NoBytes):
            client.provenance(BLOCK)


@pytest.mark.parametrize(
    "body, kind", [("[]", "application/json"), ("{}", "application/json"), ('{"pool": {}}', "text/html"), ("", "")]
)
def test_statistics_that_are_no_document_are_refused(body: str, kind: str) -> None:
    with (
        ScriptedServer(status("200 OK", f"content-type: {kind}", body=body)) as server,
        RandomClient([server.url]) as client,
        pytest.raises(NoBytes, match="statistics document"),
    ):
        client.stats()


@pytest.mark.parametrize("line", ["503 Service Unavailable", "500 Internal Server Error", "401 Unauthorized"])
def test_what_a_service_says_of_a_problem_is_kept_for_who_wants_to_show_it(line: str) -> None:
    """Short and printable, and nothing that it does not say."""
    body = '{"title": "Odd", "detail": "not\\u0007today ' + "x" * 300 + '"}'
    with (
        ScriptedServer(status(line, PROBLEM, body=body)) as server,
        RandomClient([server.url]) as client,
        pytest.raises((NoBytes, RequestRefused)) as caught,
    ):
        client.stats()
    facts = caught.value.data.get("failures", [caught.value.data])[0]
    assert (facts["title"], facts["detail"][:11], len(facts["detail"])) == ("Odd", "not?today x", 200)
    assert facts.get("type", "about:blank") == "about:blank"


@pytest.mark.parametrize("line", ["503 Service Unavailable", "404 Not Found", "500 Internal Server Error"])
def test_whoever_asked_for_no_bytes_is_not_told_of_bytes(line: str) -> None:
    with ScriptedServer(status(line)) as server, RandomClient([server.url]) as client:
        for ask in (client.stats, lambda: client.provenance(BLOCK)):
            with pytest.raises(NoBytes, match="no endpoint gave what was asked for") as caught:
                ask()
            assert "bytes" not in caught.value.message
