"""`lifestream source …`: who feeds this stream."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lifestream.commands.opened import checked, with_site
from lifestream.commands.said import AsJson, ago, out, print_json
from lifestream.errors import LifestreamError

app = typer.Typer(no_args_is_help=True, help="Who feeds this stream.")


@app.command("add")
def source_add(
    url: Annotated[str, typer.Argument(help="A feed, a page that links to one, or local:SLUG.")],
    title: Annotated[str, typer.Option()] = "",
    slug: Annotated[str, typer.Option(help="Its name in addresses; made from the title otherwise.")] = "",
    kind: Annotated[str, typer.Option(help="What its entries are, where they do not say.")] = "",
    private: Annotated[bool, typer.Option("--private", help="For your own eyes only.")] = False,
    hub: Annotated[str, typer.Option(help="auto, builtin, none or a hub's address.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Follows a feed. A running server finds it out and subscribes within seconds."""
    from lifestream.write import NewSource, add_source, source_json

    async def command(site: Any) -> None:
        new = checked(NewSource, url=url, title=title, slug=slug, kind=kind, hub=hub,
                       visibility="private" if private else "public")  # fmt: skip
        source = await add_source(site, new)
        if as_json:
            print_json(source_json(source))
        else:
            what = (
                "It is ready to be written into."
                if source.local
                else "`lifestream source show` tells what became of it."
            )
            out.print(f"Added {source.slug}. {what}")

    with_site(command)


@app.command("list")
def source_list(as_json: AsJson = False) -> None:
    """All sources with their state."""
    from lifestream.store import sources
    from lifestream.write import source_json

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = await sources.every(db, audience="owner")
        if as_json:
            print_json([source_json(one) for one in found])
            return
        table = Table("source", "state", "arrives by", "entries", "last entry", "")
        for one in found:
            note = one.last_error or ("private" if one.visibility == "private" else "")
            table.add_row(one.slug, one.state, one.delivery, str(one.entry_count), ago(one.last_entry), note)
        out.print(table)

    with_site(command)


@app.command("show")
def source_show(slug: str, as_json: AsJson = False) -> None:
    """One source, in full."""
    from lifestream.store import sources
    from lifestream.write import source_json

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = source_json(await sources.get(db, slug, audience="owner"))
        if as_json:
            print_json(found)
            return
        table = Table(show_header=False, box=None)
        for name, value in found.items():
            table.add_row(name.replace("_", " "), "" if value is None else str(value))
        out.print(table)

    with_site(command)


@app.command("log")
def source_log(
    slug: str,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest ones.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What went over the wire for a source, newest first."""
    from lifestream import inspector
    from lifestream.store.exchanges import Wanted

    async def command(site: Any) -> None:
        wanted = await inspector.of_source(site, slug, Wanted())
        found, _ = await inspector.listing(site, wanted, limit=limit)
        if as_json:
            print_json([inspector.exchange_json(one) for one in found])
            return
        table = Table("when", "", "what", "answer", "ms", "")
        for one in found:
            arrow = "→" if one.direction == "out" else "←"
            status = str(one.status) if one.status is not None else one.outcome
            table.add_row(
                f"{one.at.astimezone():%m-%d %H:%M:%S}", arrow, one.what, status, f"{one.took:.0f}", one.detail
            )
        out.print(table)

    with_site(command)


@app.command("remove")
def source_remove(slug: str) -> None:
    """Removes a source and its entries, and tells its hub."""
    from lifestream.store import sources

    async def command(site: Any) -> None:
        async with site.store.begin() as db:
            await sources.remove(db, await sources.get(db, slug, audience="owner"), site.now())
        out.print(f"Removed {slug}.")

    with_site(command)


@app.command("pause")
def source_pause(slug: str) -> None:
    """Takes nothing in from a source until it is resumed."""
    _act(slug, "pause", "Paused")


@app.command("resume")
def source_resume(slug: str) -> None:
    """Goes on with a paused source."""
    _act(slug, "resume", "Resumed")


@app.command("refresh")
def source_refresh(slug: str) -> None:
    """Looks at a source's feed now."""
    _act(slug, "refresh", "A running server looks now at")


@app.command("backfill")
def source_backfill(slug: str, as_json: AsJson = False) -> None:
    """Fetches a source's history, back to its first page. What was interrupted goes on where it was."""
    from lifestream import log
    from lifestream.backfill import backfill_json, walk

    async def command(site: Any) -> Any:
        log.configure(site.config.log_format, level=logging.ERROR)  # the bar says it
        with _showing_pages(slug, hidden=as_json or not sys.stderr.isatty()) as show:
            try:
                return await walk(site, slug, show)
            except asyncio.CancelledError:
                print(f"lifestream: Stopped; `lifestream source backfill {slug}` goes on there.", file=sys.stderr)
                raise

    ended = with_site(command)
    if as_json:
        print_json(backfill_json(ended))
    if ended.state != "done":
        why = ended.error or "somebody stopped it."
        raise LifestreamError(f"{why} `lifestream source backfill {slug}` goes on from page {ended.pages + 1}.")
    if as_json:
        return
    if ended.pages == 1:
        out.print(f"{slug} names no older pages: there is no history to fetch.")
    else:
        out.print(
            f"{slug}: {ended.pages} pages with {ended.entries} entries, {ended.added} of them new here; "
            f"the oldest is of {ago(ended.oldest)}. {ended.error}".rstrip()
        )


@contextmanager
def _showing_pages(slug: str, *, hidden: bool) -> Iterator[Callable[[Any], None]]:
    """A bar that moves with each page; how many there are nobody knows."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [BarColumn(bar_width=16), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)]
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
        task = progress.add_task(slug, total=None)

        def show(at: Any) -> None:
            words = f"{slug}: {at.pages} pages, {at.entries} entries, {at.added} new, back to {ago(at.oldest)}"
            later = f"; {at.error} Again at {at.due_at.astimezone():%H:%M:%S}." if at.error and at.due_at else ""
            progress.update(task, description=words + later)

        yield show


def _act(slug: str, action: str, said: str) -> None:
    from lifestream.write import do_to_source

    async def command(site: Any) -> None:
        await do_to_source(site, slug, action)
        out.print(f"{said} {slug}.")

    with_site(command)
