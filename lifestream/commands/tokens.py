"""`lifestream token …`: keys for the API and for scrobblers."""

import sys
from textwrap import indent
from typing import Annotated, Any

import typer
from rich.table import Table

from lifestream.commands.opened import with_site
from lifestream.commands.said import AsJson, ago, out, print_json

app = typer.Typer(no_args_is_help=True, help="Keys for the API and for scrobblers.")


@app.command("create")
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
            print(_for_scrobblers(site.config.base_url), file=sys.stderr)

    with_site(command)


def _for_scrobblers(base_url: str) -> str:
    from lifestream.protocol.players import players

    said = [f"  {one.name}\n{indent(one.settings, '    ')}" for one in players(base_url, "TOKEN")]
    return "\n".join(["What to tell a scrobbler, with the token for TOKEN; docs/scrobbling.md has more:", *said])


@app.command("list")
def token_list(as_json: AsJson = False) -> None:
    """The tokens' names and scopes, and when each was last used."""
    from lifestream.store import owner
    from lifestream.write import token_json

    async def command(site: Any) -> None:
        async with site.store.read() as db:
            found = await owner.tokens(db)
        if as_json:
            print_json([token_json(one) for one in found])
            return
        table = Table("name", "scope", "made", "last used")
        for one in found:
            table.add_row(one.name, one.scope, ago(one.created_at), ago(one.last_used))
        out.print(table)

    with_site(command)


@app.command("revoke")
def token_revoke(name: str) -> None:
    """Makes a token worthless, at once."""
    from lifestream.store import bells, owner

    async def command(site: Any) -> None:
        async with site.store.begin(rings=[bells.KEYS]) as db:
            await owner.revoke_token(db, name)
        out.print(f"Revoked {name}.")

    with_site(command)
