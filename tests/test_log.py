"""The log: one line for each outcome, and no secret in any of them."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from lifestream import log

Lines = Callable[[], list[str]]


@pytest.fixture(params=["text", "json"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lines(form: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What was logged so far, in either form."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log.configure("json" if form == "json" else "text")
    yield lambda: written.getvalue().splitlines()
    monkeypatch.undo()
    log.configure("json")


def test_one_outcome_is_one_line_with_its_context(lines: Lines, form: str) -> None:
    with log.bound(source="blog", via="push"):
        log.get_logger("x").info("stored", new=2)
    log.get_logger("x").warning("after")
    stored, after = lines()
    if form == "json":
        said = json.loads(stored)
        assert (said["event"], said["source"], said["via"], said["new"], said["level"]) == (
            "stored",
            "blog",
            "push",
            2,
            "info",
        )
        assert said["timestamp"].endswith("Z")
    else:
        assert stored.startswith("timestamp=") and stored.endswith("event=stored new=2 source=blog via=push")
    assert "blog" not in after


@pytest.mark.parametrize(
    "name", ["secret", "hub_secret", "password", "token", "Authorization", "cookie", "X-Hub-Signature", "set_cookie"]
)
def test_a_value_under_the_name_of_a_secret_is_masked(lines: Lines, name: str) -> None:
    log.get_logger("x").info("asked", **{name: "hunter2"})
    (line,) = lines()
    assert "hunter2" not in line and "***" in line


@pytest.mark.parametrize(
    "url",
    [
        "https://stream.example/push/abcdhunter2",
        "/push/abcdhunter2?hub.mode=subscribe",
        "/scrobble/?hs=true&sk=abcdhunter2",
        "/live?token=abcdhunter2&after=1",
        "/x?k=abcdhunter2",
        "/x?password=abcdhunter2",
    ],
)
def test_a_token_in_an_address_is_cut_short(lines: Lines, url: str) -> None:
    log.get_logger("x").info("asked", url=url)
    log.get_logger("x").info(f"asked {url}")
    logging.getLogger("library").warning("GET %s", url)
    assert len(lines()) == 3
    for line in lines():
        assert "hunter2" not in line and "abcd***" in line


def test_what_is_no_secret_stays(lines: Lines) -> None:
    log.get_logger("x").info("looked", url="https://blog.example/feed?page=2", status="ok", count=0, none=None)
    (line,) = lines()
    assert "https://blog.example/feed?page=2" in line and "ok" in line


def test_what_somebody_sent_cannot_begin_a_line_of_its_own(lines: Lines) -> None:
    log.get_logger("x").info("asked", title='one\ntwo\r\n"three"\x1b[2J\u2028', other="a=b c\r")
    (line,) = lines()
    assert line.isprintable()


def test_a_traceback_is_in_the_one_line_and_without_secrets(lines: Lines) -> None:
    try:
        raise ValueError("bad address /push/abcdhunter2")
    except ValueError:
        log.get_logger("x").exception("failed")
        logging.getLogger("library").exception("failed too")
    assert len(lines()) == 2
    for line in lines():
        assert "ValueError" in line and "hunter2" not in line


def test_libraries_speak_in_our_form_from_warnings_up(lines: Lines, form: str) -> None:
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("careful with %s", "this")
    (line,) = lines()
    said = json.loads(line)["event"] if form == "json" else line
    assert "careful with this" in said


def test_details_for_developers_are_left_out(lines: Lines) -> None:
    log.get_logger("x").debug("thought")
    assert lines() == []
