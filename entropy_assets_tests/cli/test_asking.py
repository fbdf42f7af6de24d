"""How the commands ask: at which address, with which key, and through nobody."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from entropy_assets_tests.cli.conftest import KEY, Run
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good, status

BLOCK = "0badcafe-0000-8000-8000-000000000000"
FEED = ("feed", "--once", "--device", os.devnull)


@contextmanager
def _redirecting_to(other: socket.socket) -> Iterator[str]:
    """Answer one request by sending it elsewhere."""
    place = f"http://127.0.0.1:{other.getsockname()[1]}/"

    def answer() -> None:
        with server.accept()[0] as link:
            link.recv(4096)
            link.sendall(b"HTTP/1.1 307 X\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % place.encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


class TestAddress:
    def test_without_one_it_is_that_of_the_settings(
        self, run: Run, zeros: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ENTROPY_HTTP_PORT", zeros.url.rpartition(":")[2])
        assert run("draw", 8).exit_code == 0
        assert len(zeros.requests) == 1

    def test_an_empty_key_is_none(self, run: Run, zeros: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a file of variables has it that was not filled in."""
        monkeypatch.setenv("ENTROPY_API_KEY", "")
        assert run("draw", 8, "--url", zeros.url).exit_code == 0
        assert "Authorization" not in zeros.requests[0]

    def test_one_of_the_settings_with_colons_is_asked_too(
        self, run: Run, closed_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ENTROPY_HTTP_HOST", "::1")
        monkeypatch.setenv("ENTROPY_HTTP_PORT", str(closed_port))
        assert f"http://[::1]:{closed_port} does not answer" in run("draw", 8).stderr

    @pytest.mark.parametrize("command", [("draw", "8"), ("stats",)], ids=" ".join)
    def test_without_a_service_the_error_names_the_next_step(
        self, run: Run, closed_port: int, command: tuple[str, ...]
    ) -> None:
        result = run(*command, "--url", f"http://127.0.0.1:{closed_port}")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "does not answer" in result.stderr
        assert "entropy-assets up" in result.stderr

    def test_without_a_service_json_is_an_object_too(self, run: Run, closed_port: int) -> None:
        url = f"http://127.0.0.1:{closed_port}"
        result = run("stats", "--json", "--url", url)
        assert result.exit_code == 1
        problem = json.loads(result.stdout)
        assert (problem["error"], problem["url"]) == ("service-unreachable", url)

    def test_without_any_of_several_each_is_named(self, run: Run, closed_port: int) -> None:
        other = f"http://127.0.0.2:{closed_port}"
        result = run("draw", 8, "--url", f"http://127.0.0.1:{closed_port}", "--url", other)
        assert result.exit_code == 1
        assert f"http://127.0.0.1:{closed_port} does not answer" in result.stderr
        assert f"{other} does not answer" in result.stderr


class TestWay:
    @pytest.mark.parametrize("command", [("draw", "8"), ("stats",), ("audit", BLOCK, "--images", ".")], ids=" ".join)
    def test_a_proxy_of_the_environment_gets_neither_bytes_nor_key(
        self, run: Run, zeros: ScriptedServer, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The address is loopback, so the key goes there in clear, and nowhere else."""
        monkeypatch.setenv("ENTROPY_API_KEY", KEY)
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            monkeypatch.delenv("no_proxy", raising=False)
            run(*command, "--url", zeros.url)
            proxy.settimeout(0)
            with pytest.raises(BlockingIOError):
                proxy.accept()
        assert len(zeros.requests) == 1
        assert KEY in zeros.requests[0]

    def test_a_redirect_is_not_followed(self, run: Run) -> None:
        """It could lead from TLS into the clear."""
        with socket.create_server(("127.0.0.1", 0)) as other, _redirecting_to(other) as url:
            other.settimeout(1)
            result = run("draw", 8, "--url", url)
            assert (result.exit_code, result.stdout) == (1, "")
            assert "status 307" in result.stderr
            with pytest.raises(TimeoutError):
                other.accept()


class TestKey:
    @pytest.mark.parametrize("command", [FEED, ("draw", "8")], ids=" ".join)
    def test_it_is_read_from_a_file_or_from_the_settings(
        self,
        run: Run,
        command: tuple[str, ...],
        key_file: Path,
        zeros: ScriptedServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert run(*command, "--url", zeros.url).exit_code == 0
        assert run(*command, "--url", zeros.url, "--key-file", key_file).exit_code == 0
        monkeypatch.setenv("ENTROPY_API_KEY", "ea_another")
        assert run(*command, "--url", zeros.url).exit_code == 0
        shown = [[line for line in request.split("\r\n") if line.startswith("Auth")] for request in zeros.requests]
        assert shown == [[], [f"Authorization: Bearer {KEY}"], ["Authorization: Bearer ea_another"]]

    @pytest.mark.parametrize("command", [("feed", "--once"), ("draw", "8"), ("stats",)], ids=" ".join)
    def test_it_goes_in_clear_to_no_other_machine(self, run: Run, command: tuple[str, ...], key_file: Path) -> None:
        """Not where it is the second address either."""
        addresses = ("--url", "http://127.0.0.1:1", "--url", "http://service.invalid")
        result = run(*command, *addresses, "--key-file", key_file)
        assert result.exit_code == 1
        assert "in clear" in result.stderr
        assert KEY not in result.output

    def test_a_redirect_does_not_take_it_along(self, run: Run, key_file: Path) -> None:
        with ScriptedServer(answering(good(8))) as other:
            moved = status("302 Found", f"location: {other.url}/random/8")
            with ScriptedServer(moved) as service:
                result = run("draw", 8, "--url", service.url, "--key-file", key_file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert KEY in service.requests[0]
        assert KEY not in "".join(other.requests)

    def test_a_file_that_holds_none_is_refused_without_being_shown(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(b"two words\xff")
        for command in (("feed", "--once"), ("draw", 8)):
            result = run(*command, "--key-file", tmp_path / "key")
            assert result.exit_code == 1
            assert "two words" not in result.output
