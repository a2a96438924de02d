"""The commands. Each opens the database beside a running server if need be, which notices what was written.

Errors are one clear line on stderr and a non-zero exit; output for people is a table, `--json` is for programs.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lifestream import __version__
from lifestream.commands import hooks, sources, tokens, transfer
from lifestream.commands.opened import DEFAULT_HOST, DEFAULT_PORT, checked, own_address, read_config, with_site
from lifestream.commands.said import AsJson, out, print_json
from lifestream.config import Config
from lifestream.errors import ConfigError, InvalidInput, LifestreamError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="One person's stream."
)
app.add_typer(sources.app, name="source")
app.add_typer(tokens.app, name="token")
app.add_typer(hooks.app, name="hook")
app.add_typer(transfer.import_app, name="import")
app.add_typer(transfer.export_app, name="export")


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

    with_site(command)


@app.command()
def demo(
    host: Annotated[str, typer.Option()] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(min=0, max=65535)] = DEFAULT_PORT,
) -> None:
    """A throw-away stream with small publishers, moving within ten seconds, offline."""
    from lifestream.demo import run as run_demo

    run_demo(host, port)


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
        stored = await write_entry(site, to, made_from(checked(EntryIn, **given), base, site.now()))
        if as_json:
            print_json({"id": stored.id, "seq": stored.seq, "url": f"{site.config.base_url}/entries/{stored.id}"})
        else:
            out.print(f"Posted to {to}: {site.config.base_url}/entries/{stored.id}")

    with_site(command)


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

    with_site(command)


# -- the owner --------------------------------------------------------------------------------


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

    with_site(command)


# -- looking after it -------------------------------------------------------------------------


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Checks the set-up and says what to do."""
    from lifestream.doctor import examine

    config = read_config()
    findings = asyncio.run(examine(own_address(config), told_where=bool(config.base_url)))
    if as_json:
        print_json([{"check": one.check, "ok": one.ok, "says": one.says} for one in findings])
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
