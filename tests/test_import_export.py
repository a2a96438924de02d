"""What is followed and what is here, taken in and written out by the commands."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from lifestream import log
from lifestream.cli import run
from lifestream.protocol import opml
from lifestream.publish import lists
from lifestream.store import sources
from lifestream.types import Location
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, has_source, writes

Command = Callable[..., bytes]
LIST = opml.write("Mine", "Mara", [
    opml.Outline("https://blog.example/feed", "A blog", "https://blog.example/", "blog", "article"),
    opml.Outline("https://photos.example/feed", "Photos & more", kind="photo", private=True),
    opml.Outline("https://blog.example/feed#again", "The blog again"),
    opml.Outline("javascript:alert(1)", "No feed"),
])  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own, and nothing else of the machine's settings."""
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "lifestream.sqlite3")
    for name in [name for name in os.environ if name.startswith("LIFESTREAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    yield tmp_path
    os.umask(before)
    log.configure("json")  # to a stderr that is still there


@pytest.fixture
def lifestream(machine: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Runs a command; gives what it said, on stderr where it was refused."""

    def command(*arguments: str, refused: bool = False) -> bytes:
        code = run(arguments)
        said, complained = capfdbinary.readouterr()
        assert bool(code) == refused, complained
        return complained if refused else said

    return command


def listed(lifestream: Command) -> dict[str, Any]:
    return {one["slug"]: one for one in orjson.loads(lifestream("source", "list", "--json"))}


def test_each_feed_of_a_list_is_followed_and_duplicates_are_said(lifestream: Command, machine: Path) -> None:
    (machine / "feeds.opml").write_bytes(LIST)
    done = orjson.loads(lifestream("import", "opml", "feeds.opml", "--json"))
    assert done["added"] == ["blog", "photos-more"]
    assert [one["url"] for one in done["skipped"]] == ["https://blog.example/feed#again", "javascript:alert(1)"]
    assert "followed already, as the source “blog”" in done["skipped"][0]["why"]
    found = listed(lifestream)
    assert (found["blog"]["title"], found["blog"]["kind"], found["blog"]["visibility"]) == (
        "A blog",
        "article",
        "public",
    )
    assert (found["photos-more"]["kind"], found["photos-more"]["visibility"]) == ("photo", "private")
    again = lifestream("import", "opml", "feeds.opml").decode()
    assert "0 of 4 feeds added" in again and again.count("Skipped") == 4


def test_what_was_exported_can_be_imported_elsewhere(
    lifestream: Command, machine: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> None:
    (machine / "feeds.opml").write_bytes(LIST)
    lifestream("import", "opml", "feeds.opml")
    assert b"Wrote out.opml" in lifestream("export", "opml", "out.opml")
    (machine / "elsewhere").mkdir()
    shutil.copy(sqlite_template, machine / "elsewhere" / "lifestream.sqlite3")
    before = listed(lifestream)
    monkeypatch.setenv("LIFESTREAM_DATA_DIR", str(machine / "elsewhere"))
    done = orjson.loads(lifestream("import", "opml", "out.opml", "--json"))
    assert done["added"] == ["blog", "photos-more"]
    assert ["site's own" in one["why"] for one in done["skipped"]] == [True], "the feed of the local notes"
    after = listed(lifestream)
    for slug in before:
        for name in ("title", "url", "kind", "visibility"):
            assert after[slug][name] == before[slug][name]
    assert opml.read(lifestream("export", "opml")) == opml.read(Path("out.opml").read_bytes())


def test_addresses_as_older_readers_write_them_are_understood(lifestream: Command, machine: Path) -> None:
    outlines = "".join(
        f'<outline xmlUrl="{url}"/>' for url in ("feed://one.example/rss", "feed:https://two.example/rss")
    )
    (machine / "old.opml").write_text(f'<opml version="2.0"><body>{outlines}</body></opml>')
    assert orjson.loads(lifestream("import", "opml", "old.opml", "--json"))["skipped"] == []
    assert {one["url"] for one in listed(lifestream).values()} >= {"http://one.example/rss", "https://two.example/rss"}


def test_a_bad_file_is_one_clear_error(lifestream: Command, machine: Path) -> None:
    (machine / "no.opml").write_bytes(b"<html><p>Sign in")
    for file, words in (("no.opml", b"not OPML"), ("nowhere.opml", b"nowhere.opml")):
        line = lifestream("import", "opml", file, refused=True)
        assert words in line and line.count(b"\n") == 1
    assert list(listed(lifestream)) == ["notes"]


def test_nothing_is_overwritten(lifestream: Command, machine: Path) -> None:
    (machine / "there").write_text("precious")
    for what in ("opml", "json"):
        assert b"there already" in lifestream("export", what, "there", refused=True)
        assert b"nowhere" in lifestream("export", what, "nowhere/file", refused=True)
    assert (machine / "there").read_text() == "precious"
    assert not list(machine.glob("*.partial"))


def test_everything_is_in_the_export(lifestream: Command, machine: Path) -> None:
    for number in range(3):
        lifestream("post", f"Note {number} <&>", "--title", f"ü {number}")
    lifestream("source", "add", "local:diary", "--private")
    lifestream("post", "Dear diary", "--to", "diary")
    lifestream("export", "json", "all.json")
    found = orjson.loads((machine / "all.json").read_bytes())
    assert found == orjson.loads(lifestream("export", "json", "-")) | {"exported": found["exported"]}
    assert [one["slug"] for one in found["sources"]] == ["notes", "diary"]
    assert [one["title"] for one in found["entries"]] == ["ü 0", "ü 1", "ü 2", None]
    assert found["entries"][3]["content_html"] == "<p>Dear diary</p>"
    assert {"id", "seq", "kind", "published", "tags", "media", "data", "source"} <= found["entries"][0].keys()
    assert (machine / "all.json").stat().st_mode & 0o077 == 0, "private entries are for their owner alone"


def test_an_empty_stream_is_an_export_too(lifestream: Command) -> None:
    assert orjson.loads(lifestream("export", "json"))["entries"] == []


async def test_the_public_list_has_the_public_sources(client: AppClient) -> None:
    await has_source(client.site, "secrets", "private")
    answer = await client.get("/opml")
    assert answer.headers["content-type"] == "text/x-opml; charset=utf-8"
    base = client.site.config.base_url
    (notes,) = opml.read(answer.content)
    assert (notes.xml_url, notes.html_url) == (f"{base}/sources/notes/feed.atom", f"{base}/sources/notes")
    assert b"secret" not in answer.content


@on_sqlite
async def test_a_long_export_is_made_piece_by_piece(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE", 2)
    made = [await writes(client.site, f"{number}", location=Location(1, 2)) for number in range(5)]
    await deletes(client.site, made[1])
    async with client.site.store.begin() as db:
        await sources.set_places(db, await sources.get(db, "notes", audience="owner"), False, client.site.now())
    async with client.site.store.read(long=True) as db:
        pieces = [piece async for piece in lists.everything(client.site, db)]
    assert len(pieces) == 6
    found = orjson.loads(b"".join(pieces))["entries"]
    assert {one["title"] for one in found} == {"0", "2", "3", "4"}
    assert all(one["location"] for one in found), "what is hidden from others is the owner's all the same"
