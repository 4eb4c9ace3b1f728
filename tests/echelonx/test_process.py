"""Mirrors echelonx/process.py."""

import os
from pathlib import Path

import pytest

from echelonx.process import AlreadySendingError, SendingRight, is_gone, process_name


def test_a_name_says_host_pid_and_start() -> None:
    host, pid, started = process_name().split(":")

    assert host
    assert int(pid) == os.getpid()
    assert int(started) > 0


def test_a_sqlite_file_has_one_sender(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"

    with SendingRight(url, "first:1:1") as right:
        assert right.exclusive
        with pytest.raises(AlreadySendingError, match="first:1:1 already sends"):
            SendingRight(url, "second:2:2")


def test_the_right_is_free_again_when_it_is_given_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    SendingRight(url, "first:1:1").release()

    with SendingRight(url, "second:2:2") as right:
        assert right.exclusive


def test_a_server_has_any_number_of_senders() -> None:
    url = "postgresql://host/name"

    with SendingRight(url, "a:1:1") as first, SendingRight(url, "b:2:2") as second:
        assert not first.exclusive
        assert not second.exclusive


def test_only_a_process_of_this_host_is_known_to_be_gone() -> None:
    host, pid, started = process_name().split(":")

    assert not is_gone(process_name())
    assert is_gone(f"{host}:{pid}:{int(started) - 1}"), "the pid was used again"
    assert not is_gone(f"another-host:{pid}:1")
