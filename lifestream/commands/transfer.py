"""`lifestream import …` and `lifestream export …`: what is followed, and everything that is here."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from lifestream.commands.opened import checked, with_site
from lifestream.commands.said import AsJson, out, print_json
from lifestream.errors import Conflict, InvalidInput

MOST_BYTES = 20 * 1024 * 1024

import_app = typer.Typer(no_args_is_help=True, help="Takes in what another program wrote.")
export_app = typer.Typer(no_args_is_help=True, help="Writes out what is here.")
Target = Annotated[Path | None, typer.Argument(help="Standard output without it, and for -.")]


@import_app.command("opml")
def import_opml(
    file: Annotated[Path, typer.Argument(help="A list of feeds, from any reader; - reads standard input.")],
    as_json: AsJson = False,
) -> None:
    """Follows each feed of a list. What is followed already is said, and left as it is."""
    from lifestream.protocol import opml

    outlines = opml.read(_bytes_of(file))

    async def command(site: Any) -> None:
        added, skipped = [], []
        for one in outlines:
            try:
                added.append(await _follow(site, one))
            except (Conflict, InvalidInput) as error:
                skipped.append({"url": one.xml_url, "why": str(error)})
        if as_json:
            print_json({"added": added, "skipped": skipped})
            return
        for slug in added:
            out.print(f"Added {slug}.")
        for left in skipped:
            out.print(f"Skipped {left['url']}: {left['why']}")
        out.print(f"{len(added)} of {len(outlines)} feeds added; a running server subscribes to them now.")

    with_site(command)


async def _follow(site: Any, one: Any) -> str:
    """Adds the feed; returns its slug. Raises Conflict, InvalidInput."""
    from lifestream.publish.outbound_feeds import topic_of
    from lifestream.store import sources
    from lifestream.types import KINDS
    from lifestream.write import NewSource, add_source

    if topic_of(site.config, one.xml_url):
        raise Conflict("It is a feed of this site's own.")
    async with site.store.read() as db:
        taken = {source.slug for source in await sources.every(db, audience="owner")}
    usable = sources.SLUG.fullmatch(one.slug) and one.slug not in taken
    new = checked(
        NewSource, url=web_address_of(one.xml_url), title=one.title[:200], slug=one.slug if usable else "",
        kind=one.kind if one.kind in KINDS else "", visibility="private" if one.private else "public",
    )  # fmt: skip
    return str((await add_source(site, new)).slug)


def web_address_of(url: str) -> str:
    """Older readers write `feed://host/path`, or `feed:https://host/path`."""
    if url.startswith("feed://"):
        return f"http{url.removeprefix('feed')}"
    return url.removeprefix("feed:")


@export_app.command("opml")
def export_opml(file: Target = None) -> None:
    """The sources, private ones too, as a list that every reader can import."""
    from lifestream.publish.lists import opml_of
    from lifestream.store import sources

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = await sources.every(db, audience="owner")
        with _written(file) as target:
            target.write(opml_of(site.config, found))

    with_site(command)


@export_app.command("json")
def export_json(file: Target = None) -> None:
    """Everything: the sources and all entries, private ones too, as one JSON value. Secrets are not in it."""
    from lifestream.publish.lists import everything

    async def command(site: Any) -> None:
        with _written(file) as target:
            async with site.store.read(long=True) as db:
                async for piece in everything(site, db):
                    target.write(piece)

    with_site(command)


def _bytes_of(file: Path) -> bytes:
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as source:
        body = source.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise InvalidInput(f"{file} is longer than {MOST_BYTES // 1024 // 1024} MB; that is no list of feeds.")
    return body


@contextmanager
def _written(file: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there only once it is whole."""
    if file is None or str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if file.exists():
        raise InvalidInput(f"{file} is there already; nothing was overwritten. Give another name.")
    partial = file.with_name(file.name + ".partial")
    try:
        with partial.open("wb") as target:
            yield target
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    out.print(f"Wrote {file} ({file.stat().st_size:,} bytes).")
