"""What lies below HTTP: names that change their meaning, certificates of others, and ends that somebody else made."""

import datetime as dt
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.web.faults import Fault
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.limits import Clock, WebLimits
from entropy_assets.sources.feeds.web.networks import Network
from entropy_assets.sources.feeds.web.pacing import Pacing
from entropy_assets.sources.feeds.web.reader import HttpReader
from entropy_assets_tests.sources.feeds.fault_server import Asked, Certificates, FakeClock, FaultServer, answer
from entropy_assets_tests.sources.feeds.web.conftest import PUBLIC, Web, failure

URL = "https://feed.test/a"


def seen(web: Web, url: str = URL, **limits: float) -> tuple[type, str, str]:
    error = failure(web.reader(attempts=1, **limits).document, url)
    return type(error), error.data["fault"], error.message


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1%lo",
        "fd00::1",
    ],
)
def test_no_connection_is_made_to_what_is_no_address_of_the_internet(web: Web, address: str) -> None:
    web.names["feed.test"] = [[address]]
    kind, fault, message = seen(web)
    assert (kind, fault) == (FeedLies, Fault.PRIVATE_ADDRESS)
    can_be_own = address not in ("0.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "192.0.2.2")
    assert ("own_network = true" in message) is can_be_own
    assert ("none of its range is ever asked" in message) is not can_be_own
    assert web.connected == []


def test_a_name_that_is_half_in_here_is_not_asked_at_all(web: Web) -> None:
    """Whichever address comes first."""
    for told in ([PUBLIC, "192.168.1.1"], ["192.168.1.1", PUBLIC]):
        web.names["feed.test"] = [told]
        assert seen(web)[:2] == (FeedLies, Fault.PRIVATE_ADDRESS)
    assert web.connected == []


def test_the_connection_goes_to_the_address_that_was_judged(web: Web) -> None:
    """A name that changes its meaning between look-ups: each connection has one, and goes where that one led."""
    web.server.give("/a", answer(b"fine"))
    web.names["feed.test"] = [["93.184.215.77"], ["127.0.0.1"]]
    assert web.reader().document(URL).data == b"fine"
    assert (web.looked_up, web.connected) == (["feed.test"], [("93.184.215.77", 443)])
    assert web.server.asked[0].server_name == "feed.test"
    assert web.server.asked[0].header("host") == "feed.test"
    assert seen(web)[:2] == (FeedLies, Fault.PRIVATE_ADDRESS)
    assert web.looked_up == ["feed.test"] * 2
    assert len(web.connected) == 1


def test_no_connection_is_used_twice(web: Web) -> None:
    """What is left on one is nobody's answer."""
    web.server.give("/a", answer(b"fine") + answer(b"of somebody else"), answer(b"fine"))
    assert seen(web)[:2] == (FeedLies, Fault.WRONG_LENGTH)
    assert web.reader().document(URL).data == b"fine"
    assert (len(web.looked_up), web.server.connections) == (2, 2)
    assert {asked.header("connection") for asked in web.server.asked} == {"close"}


def test_a_name_that_nobody_knows_is_looked_up_again(web: Web) -> None:
    web.names["feed.test"] = [[], [], [PUBLIC]]
    web.server.give("/a", answer(b"fine"))
    assert web.reader().document(URL).data == b"fine"
    assert len(web.looked_up) == 3
    web.names["feed.test"] = [[]]
    assert seen(web)[:2] == (FeedUnavailable, Fault.UNKNOWN_NAME)


def test_a_host_of_ones_own_network_is_asked_where_the_configuration_says_so() -> None:
    """By plain http and a real connection to this machine, of which both are said."""
    with FaultServer() as server:
        server.give("/a", answer(b"fine"))
        host, url = f"telescope.lan:{server.port}", f"http://telescope.lan:{server.port}/a"
        network = Network(lambda host, port: ["127.0.0.1"])
        for told, sees in (
            ({"plain": ["telescope.lan"], "local": ["telescope.lan"]}, None),
            ({"plain": ["telescope.lan"]}, Fault.PRIVATE_ADDRESS),
            ({"local": ["telescope.lan"]}, Fault.HOST_NOT_ALLOWED),
            ({}, Fault.HOST_NOT_ALLOWED),
        ):
            reader = HttpReader("mine", HostRules([host], **told), pacing=Pacing(), network=network)
            if sees is None:
                assert reader.document(url).data == b"fine"
            else:
                assert failure(reader.document, url).data["fault"] == sees
        assert len(server.asked) == 1


def test_the_next_address_is_tried_where_one_does_not_answer(web: Web) -> None:
    web.server.give("/a", answer(b"fine"))
    tried = []

    def connect(address: str, port: int, timeout_s: float) -> socket.socket:
        tried.append(address)
        if len(tried) == 1:
            raise ConnectionRefusedError(111, "Connection refused")
        return socket.create_connection(("127.0.0.1", web.server.port), timeout_s)

    network = Network(lambda host, port: ["2606:4700::1", PUBLIC], connect)
    reader = HttpReader("mine", HostRules(["feed.test"]), pacing=web.pacing, network=network, tls=web.trust)
    assert reader.document(URL).data == b"fine"
    assert tried == ["2606:4700::1", PUBLIC]


def test_a_port_where_nobody_listens_is_said_so(web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    network = Network(
        lambda host, port: [PUBLIC], lambda address, _, s: socket.create_connection(("127.0.0.1", port), s)
    )
    reader = HttpReader("mine", HostRules(["feed.test"]), pacing=web.pacing, network=network, tls=web.trust)
    error = failure(reader.document, URL)
    assert (type(error), error.data["fault"]) == (FeedUnavailable, Fault.UNREACHABLE)
    assert "can't be reached: Connection refused" in error.message


# --- certificates --------------------------------------------------------------------------------------------------


def wrong_certificates(authority: Certificates) -> dict[str, tuple[ssl.SSLContext, str]]:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    return {
        "of another name": (authority.serving("other.test"), "Hostname mismatch"),
        "of its address": (authority.serving(PUBLIC), "Hostname mismatch"),
        "expired": (authority.serving("feed.test", not_after=past), "expired"),
        "of an authority nobody knows": (Certificates().serving("feed.test"), "unable to get local issuer"),
        "self-signed": (Certificates().serving_itself(), "self-signed"),
    }


@pytest.mark.parametrize("what", wrong_certificates(Certificates()))
def test_a_certificate_that_does_not_stand_for_the_host_ends_it(
    certificates: Certificates, web: Web, what: str
) -> None:
    """Once: nothing was asked, and it isn't tried again."""
    tls, says = wrong_certificates(certificates)[what]
    with FaultServer(tls) as server:
        web.server, trusted = server, web.server
        kind, fault, message = seen(web)
        assert server.asked == []
        web.server = trusted
    assert (kind, fault) == (FeedLies, Fault.CERTIFICATE)
    assert says in message
    assert len(web.connected) == 1


def test_a_server_without_tls_is_not_asked(web: Web) -> None:
    with FaultServer() as server:
        web.server, trusted = server, web.server
        assert seen(web)[:2] == (FeedUnavailable, Fault.UNREACHABLE)
        web.server = trusted


def test_an_address_in_digits_must_be_in_the_certificate(web: Web) -> None:
    web.server.give("/a", answer(b"fine"))
    rules = HostRules([PUBLIC, "93.184.215.15"])
    assert web.reader(rules).document(f"https://{PUBLIC}/a").data == b"fine"
    web.names["93.184.215.15"] = [["93.184.215.15"]]
    error = failure(web.reader(rules).document, "https://93.184.215.15/a")
    assert error.data["fault"] == Fault.CERTIFICATE


def test_without_further_words_the_usual_authorities_are_trusted_alone(web: Web) -> None:
    """Not that of these tests, whatever the environment names."""
    web.trust = None  # type: ignore[assignment]
    kind, fault, message = seen(web)
    assert (kind, fault) == (FeedLies, Fault.CERTIFICATE)
    assert "unable to get local issuer" in message or "self-signed" in message
    assert web.server.asked == []


def test_a_server_of_ones_own_is_checked_by_the_file_that_its_table_names(
    web: Web, certificates: Certificates, tmp_path: Path
) -> None:
    """By the authority that signed its certificate, or by that certificate itself, and by no other."""
    web.server.give("/a", answer(b"fine"))
    authority, other, own = tmp_path / "ca.pem", tmp_path / "other.pem", tmp_path / "own.pem"
    authority.write_bytes(certificates.authority.cert_pem.bytes())
    other.write_bytes(Certificates().authority.cert_pem.bytes())
    own.write_text(ssl.get_server_certificate(("127.0.0.1", web.server.port)))
    for file in (authority, own):
        web.trust = file  # type: ignore[assignment]
        assert web.reader().document("https://feed.test/a").data == b"fine", file
    web.trust = other  # type: ignore[assignment]
    _, fault, message = seen(web)
    assert fault == Fault.CERTIFICATE
    assert "ca_file" in message


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_of_certificates_that_is_none_stops_its_feed_and_no_other(web: Web, tmp_path: Path, content) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    web.trust = file  # type: ignore[assignment]
    kind, fault, message = seen(web)
    assert (kind, fault) == (FeedDenied, Fault.CA_FILE)
    assert str(file) in message
    assert web.server.asked == []


def test_a_pipe_in_the_place_of_a_file_of_certificates_keeps_nobody_waiting(web: Web, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    web.trust = tmp_path / "ca.pem"  # type: ignore[assignment]
    kind, fault, message = seen(web)
    assert (kind, fault) == (FeedDenied, Fault.CA_FILE)
    assert "it is no regular file" in message


def test_a_reader_that_would_not_look_at_certificates_is_not_made(web: Web) -> None:
    for weaken in (
        lambda context: setattr(context, "check_hostname", False),
        lambda context: (setattr(context, "check_hostname", False), setattr(context, "verify_mode", ssl.CERT_NONE)),
    ):
        context = ssl.create_default_context()
        weaken(context)
        with pytest.raises(ValueError, match="certificates"):
            HttpReader("mine", HostRules(["feed.test"]), pacing=web.pacing, tls=context)


# --- ends ----------------------------------------------------------------------------------------------------------


def test_an_end_that_tls_does_not_know_of_is_a_cut(web: Web) -> None:
    """Of an answer without a length anybody on the way could make the end; TLS has a word for an honest one."""
    whole = answer(b"x" * 99, version="1.0", length=None)
    web.server.give("/a", whole)
    assert web.reader().document(URL).data == b"x" * 99

    def cut(_: Asked) -> Iterator[bytes]:
        yield whole
        raise OSError("gone, without a word")

    web.server.give("/a", cut)
    web.trust.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # what Python did by itself before 3.11.4
    assert seen(web)[:2] == (FeedUnavailable, Fault.BROKEN_OFF)


def test_a_tls_handshake_that_never_ends_does(web: Web) -> None:
    """A server that takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = failure(_reaching(web, port, connect_s=0.1, attempts=1).document, URL)
    assert (type(error), error.data["fault"]) == (FeedUnavailable, Fault.TOO_SLOW)


# --- any bytes -----------------------------------------------------------------------------------------------------

PARTS = (
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 302 \r\n",
        b"HTTP/1.1 206 \r\n",
        b"HTTP/1.1 304 \r\n",
        b"HTTP/1.1 100 \r\n\r\n",
    ),
    *(b"HTTP/1.0 429 \r\n", b"HTTP/1.1 503 \r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Content-Encoding: gzip\r\n", b"Location: /x\r\n", b"Location: //y\xff\r\n", b"Retry-After: -5\r\n"),
    *(b"Content-Range: bytes 0-4/5\r\n", b"X-RateLimit-Remaining: 0\r\n", b"Date: x\r\n", b'ETag: "1"\r\n'),
    *(
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\0",
        b": ",
        b"SIMPLE  =",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
        b"\x1f\x8b\x08\0",
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join), st.booleans())
def test_whatever_bytes_a_server_sends_only_our_errors_leave(sent: bytes, is_image: bool) -> None:
    """By plain http to a host of ones own network, the same bytes each time."""
    others: list[socket.socket] = []

    def connect(address: str, port: int, timeout_s: float) -> socket.socket:
        near, far = socket.socketpair()
        others.append(far)
        far.sendall(sent)
        far.shutdown(socket.SHUT_WR)
        return near

    clock, own = FakeClock(), ["telescope.lan"]
    reader = HttpReader(
        "mine",
        HostRules(own, plain=own, local=own),
        pacing=Pacing(Clock(clock.monotonic, clock.now, clock.sleep, lambda: 0.5)),
        network=Network(lambda *_: ["10.0.0.1"], connect),
        tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    with suppress(FeedError):
        told = (reader.image if is_image else reader.document)("http://telescope.lan/a", secret={"key": "abc"})
        assert told is not None
        assert told.url == "http://telescope.lan/a" or b"302" in sent
    for far in others:
        far.close()


def _reaching(web: Web, port: int, **limits: float) -> HttpReader:
    """Give a reader that comes to another port of this machine."""
    network = Network(lambda *_: [PUBLIC], lambda address, _, s: socket.create_connection(("127.0.0.1", port), s))
    rules, limited = HostRules(["feed.test"]), WebLimits(**limits)
    return HttpReader("mine", rules, pacing=web.pacing, network=network, tls=web.trust, limits=limited)
