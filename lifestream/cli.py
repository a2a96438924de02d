"""The commands. Each opens the database beside a running server if need be, which notices what was written.

Errors are one clear line on stderr and a non-zero exit; output for people is a table, `--json` is for programs.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from lifestream import __version__
from lifestream.config import Config
from lifestream.errors import ConfigError, InvalidInput, LifestreamError

T = TypeVar("T")
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="One person's stream."
)
source_app = typer.Typer(no_args_is_help=True, help="Who feeds this stream.")
token_app = typer.Typer(no_args_is_help=True, help="Keys for the API and for scrobblers.")
app.add_typer(source_app, name="source")
hook_app = typer.Typer(no_args_is_help=True, help="Webhooks: what forges and others send here.")
app.add_typer(token_app, name="token")
app.add_typer(hook_app, name="hook")
out = Console(highlight=False, soft_wrap=True, markup=False)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value, for programs.")]


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code. A traceback out of here is a bug."""
    os.umask(0o077)  # the database holds secrets: what we make is for its owner alone
    try:
        code = app(list(arguments) if arguments is not None else None, standalone_mode=False)
    except typer.Abort:
        return 130
    except LifestreamError as error:
        print(f"lifestream: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _unforeseen(error)
    return code if isinstance(code, int) else 0  # what `typer.Exit` carries is returned, not raised


def _unforeseen(error: Exception) -> int:
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, typer.TyperException):
        if sentence := error.format_message():  # empty when no command was given: then the help is on the screen
            print(f"lifestream: {sentence}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, DBAPIError):
        print(f"lifestream: the database answered with an error: {error.orig}", file=sys.stderr)
        return 1
    if isinstance(error, OSError):
        print(f"lifestream: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return 1
    raise error


# -- running ----------------------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(min=0, max=65535)] = DEFAULT_PORT,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Server processes; above 1 needs PostgreSQL and Redis.")
    ] = 1,
    no_background: Annotated[
        bool, typer.Option("--no-background", help="Only the web; `lifestream worker` does the rest.")
    ] = False,
) -> None:
    """The web, and the background work unless told not to."""
    config = read_config().served_at(host, port)
    _only_with_postgresql(config, wanted=workers > 1, what="--workers above 1")
    if workers > 1:
        if not config.redis_url:
            raise ConfigError("--workers above 1 needs a Redis server to connect them: set LIFESTREAM_REDIS_URL.")
        from lifestream.supervise import supervise

        supervise(config, host=host, port=port, background=not no_background, workers=workers)
        return
    from lifestream.serve import serve as run_server  # after what is refused at once: this takes a second

    run_server(config, host=host, port=port, background=not no_background)


@app.command()
def worker() -> None:
    """Background work only, beside `serve --no-background` processes."""
    from lifestream.serve import run_loop, work

    config = read_config().served_at(DEFAULT_HOST, DEFAULT_PORT)
    _only_with_postgresql(config, wanted=True, what="`lifestream worker`")
    run_loop(work(config))


def _only_with_postgresql(config: Config, *, wanted: bool, what: str) -> None:
    if wanted and config.sqlite_path is not None:
        raise ConfigError(
            f"{what} is not for SQLite, which serves one process: set LIFESTREAM_DATABASE_URL to a PostgreSQL "
            "database and LIFESTREAM_REDIS_URL to a Redis server."
        )


@app.command()
def migrate() -> None:
    """Brings the database to this version (serve does it by itself)."""
    from lifestream.store.migrate import newest

    async def command(site: Any) -> None:
        out.print(f"The database is at version {newest()}.")

    _with_site(command)


@app.command()
def demo(
    host: Annotated[str, typer.Option()] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(min=0, max=65535)] = DEFAULT_PORT,
) -> None:
    """A throw-away stream with small publishers, moving within ten seconds, offline."""
    from lifestream.demo import run as run_demo

    run_demo(host, port)


# -- sources ----------------------------------------------------------------------------------


@source_app.command("add")
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
        new = _checked(NewSource, url=url, title=title, slug=slug, kind=kind, hub=hub,
                       visibility="private" if private else "public")  # fmt: skip
        source = await add_source(site, new)
        if as_json:
            _print_json(source_json(source))
        else:
            what = (
                "It is ready to be written into."
                if source.local
                else "`lifestream source show` tells what became of it."
            )
            out.print(f"Added {source.slug}. {what}")

    _with_site(command)


@source_app.command("list")
def source_list(as_json: AsJson = False) -> None:
    """All sources with their state."""
    from lifestream.store import sources
    from lifestream.write import source_json

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = await sources.every(db, audience="owner")
        if as_json:
            _print_json([source_json(one) for one in found])
            return
        table = Table("source", "state", "arrives by", "entries", "last entry", "")
        for one in found:
            note = one.last_error or ("private" if one.visibility == "private" else "")
            table.add_row(one.slug, one.state, one.delivery, str(one.entry_count), _ago(one.last_entry), note)
        out.print(table)

    _with_site(command)


@source_app.command("show")
def source_show(slug: str, as_json: AsJson = False) -> None:
    """One source, in full."""
    from lifestream.store import sources
    from lifestream.write import source_json

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = source_json(await sources.get(db, slug, audience="owner"))
        if as_json:
            _print_json(found)
            return
        table = Table(show_header=False, box=None)
        for name, value in found.items():
            table.add_row(name.replace("_", " "), "" if value is None else str(value))
        out.print(table)

    _with_site(command)


@source_app.command("remove")
def source_remove(slug: str) -> None:
    """Removes a source and its entries, and tells its hub."""
    from lifestream.store import sources

    async def command(site: Any) -> None:
        async with site.store.begin() as db:
            await sources.remove(db, await sources.get(db, slug, audience="owner"), site.now())
        out.print(f"Removed {slug}.")

    _with_site(command)


@source_app.command("pause")
def source_pause(slug: str) -> None:
    """Takes nothing in from a source until it is resumed."""
    _act(slug, "pause", "Paused")


@source_app.command("resume")
def source_resume(slug: str) -> None:
    """Goes on with a paused source."""
    _act(slug, "resume", "Resumed")


@source_app.command("refresh")
def source_refresh(slug: str) -> None:
    """Looks at a source's feed now."""
    _act(slug, "refresh", "A running server looks now at")


@source_app.command("backfill")
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

    ended = _with_site(command)
    if as_json:
        _print_json(backfill_json(ended))
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
            f"the oldest is of {_ago(ended.oldest)}. {ended.error}".rstrip()
        )


@contextmanager
def _showing_pages(slug: str, *, hidden: bool) -> Iterator[Callable[[Any], None]]:
    """A bar that moves with each page; how many there are nobody knows."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [BarColumn(bar_width=16), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)]
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
        task = progress.add_task(slug, total=None)

        def show(at: Any) -> None:
            words = f"{slug}: {at.pages} pages, {at.entries} entries, {at.added} new, back to {_ago(at.oldest)}"
            later = f"; {at.error} Again at {at.due_at.astimezone():%H:%M:%S}." if at.error and at.due_at else ""
            progress.update(task, description=words + later)

        yield show


def _act(slug: str, action: str, said: str) -> None:
    from lifestream.write import do_to_source

    async def command(site: Any) -> None:
        await do_to_source(site, slug, action)
        out.print(f"{said} {slug}.")

    _with_site(command)


# -- writing and pinging ----------------------------------------------------------------------


@app.command()
def post(
    text: Annotated[str, typer.Argument(help="The note; - reads it from standard input.")],
    title: Annotated[str, typer.Option()] = "",
    url: Annotated[str, typer.Option(help="What it is about.")] = "",
    to: Annotated[str, typer.Option(help="The local source to write into.")] = "notes",
    as_json: AsJson = False,
) -> None:
    """Writes a note into a local source."""
    from lifestream.types import Entry
    from lifestream.write import EntryIn, made_from, write_entry

    async def command(site: Any) -> None:
        words = sys.stdin.read() if text == "-" else text
        given: dict[str, Any] = (
            {"content_text": words} | ({"title": title} if title else {}) | ({"url": url} if url else {})
        )
        base = Entry(kind="article" if title else "note")
        stored = await write_entry(site, to, made_from(_checked(EntryIn, **given), base, site.now()))
        if as_json:
            _print_json({"id": stored.id, "seq": stored.seq, "url": f"{site.config.base_url}/entries/{stored.id}"})
        else:
            out.print(f"Posted to {to}: {site.config.base_url}/entries/{stored.id}")

    _with_site(command)


@app.command()
def ping(
    url: Annotated[str, typer.Argument(help="The feed that changed.")],
    hub: Annotated[str, typer.Option(help="The hub to tell; this lifestream's own otherwise.")] = "",
) -> None:
    """Sends a publish ping."""
    from urllib.parse import urlencode

    from lifestream.site import client_for_commands

    async def command(site: Any) -> None:
        target = hub or site.config.hub_url
        form = urlencode([("hub.mode", "publish"), ("hub.url", url)]).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client = client_for_commands(site.config)
        try:
            response = await client.post(target, body=form, headers=headers)
        finally:
            await client.aclose()
        if not 200 <= response.status < 300:
            words = response.body[:300].decode("utf-8", "replace").strip()
            raise InvalidInput(f"{target} answered {response.status}: {words or 'without a word'}")
        out.print(f"{target} took it ({response.status}).")

    _with_site(command)


# -- hooks ------------------------------------------------------------------------------------


@hook_app.command("add")
def hook_add(
    adapter: Annotated[
        str, typer.Argument(help="github, gitea, forgejo, gogs, gitlab, bitbucket, sourcehut, generic, or your own.")
    ],
    slug: Annotated[str, typer.Option(help="Its name in the address, and the local source it posts into.")],
    secret: Annotated[str, typer.Option(help="Made up otherwise.")] = "",
    topic: Annotated[str, typer.Option(help="The feed to look at when it is called; without it, it posts.")] = "",
    as_json: AsJson = False,
) -> None:
    """Makes a webhook, and says what to enter at the other side. The secret is shown this once."""
    from lifestream.webhooks import NewHook, add_hook

    async def command(site: Any) -> None:
        new = _checked(NewHook, adapter=adapter, slug=slug, secret=secret, topic=topic)
        _tell_hook(site, *await add_hook(site, new), as_json=as_json)

    _with_site(command)


@hook_app.command("rotate")
def hook_rotate(
    slug: str,
    secret: Annotated[str, typer.Option(help="Made up otherwise.")] = "",
    as_json: AsJson = False,
) -> None:
    """Gives a webhook another secret. The one before stays good for a week."""
    from lifestream.webhooks import rotate_hook

    async def command(site: Any) -> None:
        _tell_hook(site, *await rotate_hook(site, slug, secret), as_json=as_json)

    _with_site(command)


def _tell_hook(site: Any, hook: Any, set_up: str, *, as_json: bool) -> None:
    from lifestream.webhooks import hook_json

    found = hook_json(site, hook)
    if as_json:
        _print_json(found | {"secret": hook.secret, "set_up": set_up})
        return
    does = f"looks at {hook.topic}" if hook.topic else f"posts into the local source {hook.slug}"
    out.print(f"address  {found['url']}\nsecret   {hook.secret}\nIt {does}.\n\n{set_up}")


@hook_app.command("list")
def hook_list(as_json: AsJson = False) -> None:
    """The webhooks, and what came last."""
    from lifestream.webhooks import listing

    async def command(site: Any) -> None:
        found = await listing(site)
        if as_json:
            _print_json(found)
            return
        table = Table("hook", "adapter", "does", "last delivery", "")
        for one in found:
            last = one["last_delivery"] or {"received": None, "verdict": ""}
            when = _ago(datetime.fromisoformat(last["received"]) if last["received"] else None)
            does = f"pings {one['topic']}" if one["topic"] else "posts"
            table.add_row(one["slug"], one["adapter"], does, when, last["verdict"])
        out.print(table)

    _with_site(command)


@hook_app.command("show")
def hook_show(slug: str, as_json: AsJson = False) -> None:
    """A webhook's last deliveries, and what became of each."""
    from lifestream.webhooks import shown

    async def command(site: Any) -> None:
        found = await shown(site, slug)
        if as_json:
            _print_json(found)
            return
        table = Table("when", "answer", "")
        for one in found["deliveries"]:
            table.add_row(_ago(datetime.fromisoformat(one["received"])), str(one["status"]), one["verdict"])
        out.print(f"{found['url']} ({found['adapter']})")
        out.print(table)

    _with_site(command)


@hook_app.command("remove")
def hook_remove(slug: str) -> None:
    """Closes a webhook's address. What it posted stays."""
    from lifestream.store import hooks

    async def command(site: Any) -> None:
        async with site.store.begin() as db:
            await hooks.remove(db, slug)
        out.print(f"Removed {slug}.")

    _with_site(command)


# -- tokens, password -------------------------------------------------------------------------


@token_app.command("create")
def token_create(
    name: str, scope: Annotated[str, typer.Option(help="read, scrobble, write or owner.")] = "write"
) -> None:
    """Makes a token and prints it, alone, on stdout. It is shown this once."""
    from lifestream.store import owner

    async def command(site: Any) -> None:
        async with site.store.begin() as db:
            token = await owner.create_token(db, name, scope, site.now())
        print(token)
        print(f"Scope {scope}. It is not kept here in clear and cannot be shown again.", file=sys.stderr)
        if scope == "scrobble":
            print(_for_scrobblers(f"{site.config.base_url}/scrobble"), file=sys.stderr)

    _with_site(command)


def _for_scrobblers(url: str) -> str:
    return (
        "What to tell a scrobbler; docs/scrobbling.md has it for each:\n"
        f"  ListenBrainz      API URL {url}  user token: the token\n"
        f"  Last.fm, GNU FM   API URL {url}/2.0/  any user name, password: the token\n"
        f"  Audioscrobbler    URL     {url}/  any user name, password: the token"
    )


@token_app.command("list")
def token_list(as_json: AsJson = False) -> None:
    """The tokens' names and scopes."""
    from lifestream.store import owner

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = await owner.tokens(db)
        if as_json:
            _print_json([{"name": one.name, "scope": one.scope, "created_at": _iso(one.created_at)} for one in found])
            return
        table = Table("name", "scope", "made")
        for one in found:
            table.add_row(one.name, one.scope, _ago(one.created_at))
        out.print(table)

    _with_site(command)


@token_app.command("revoke")
def token_revoke(name: str) -> None:
    """Makes a token worthless, at once."""
    from lifestream.store import owner

    async def command(site: Any) -> None:
        async with site.store.begin() as db:
            await owner.revoke_token(db, name)
        out.print(f"Revoked {name}.")

    _with_site(command)


@app.command()
def password() -> None:
    """Sets the owner's password: asks for it, or reads one line from stdin."""
    from lifestream.admin import set_password

    if sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")

    async def command(site: Any) -> None:
        await set_password(site, given)
        out.print("The password is set; everybody who was signed in is signed out.")

    _with_site(command)


# -- looking after it -------------------------------------------------------------------------


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Checks the set-up and says what to do."""
    from lifestream.doctor import examine

    findings = asyncio.run(examine(_own_address(read_config())))
    if as_json:
        _print_json([{"check": one.check, "ok": one.ok, "says": one.says} for one in findings])
    else:
        for one in findings:
            out.print(f"{'ok ' if one.ok else 'bad'} {one.check}: {one.says}", style="green" if one.ok else "red")
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


@app.command()
def backup(file: Path) -> None:
    """A consistent copy of the database while the server runs (SQLite)."""
    config = read_config()
    path = config.sqlite_path
    if path is None:
        raise InvalidInput("This stream is on PostgreSQL: use pg_dump for a consistent copy.")
    from lifestream.store.copies import copy_sqlite

    copy_sqlite(path, file)
    out.print(f"Copied {path} to {file} ({file.stat().st_size:,} bytes).")


@app.command()
def version() -> None:
    """The version of this lifestream."""
    out.print(__version__)


# -- the parts of it --------------------------------------------------------------------------


def read_config() -> Config:
    from lifestream import log

    config = Config.from_env(os.environ, dotenv=Path(".env"))
    log.configure(config.log_format)
    return config


def _own_address(config: Config) -> Config:
    """Where `serve` listens unless told otherwise."""
    return config.served_at(DEFAULT_HOST, DEFAULT_PORT)


def _with_site(command: Callable[[Any], Awaitable[T]]) -> T:
    """Opens and migrates the database, runs `command`, closes it."""
    from lifestream.site import Site
    from lifestream.store.migrate import migrate as bring_up

    async def go() -> T:
        config = read_config()
        site = Site.open(_own_address(config))
        try:
            await bring_up(site.store)
            await site.prepare(starting=False)
            return await command(site if config.base_url else await site.where_it_was_served())
        finally:
            await site.aclose()

    return asyncio.run(go())


def _checked(model: Any, **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.") from None


def _print_json(value: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def _ago(when: datetime | None) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M") if when else "never"
