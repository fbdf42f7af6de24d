"""What the tests of feeds stand on: a disk that nobody waits for."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing until it is on the disk: what a killed process wrote stays without that."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
