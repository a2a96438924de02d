"""`lifestream hook …`: what forges and others send here."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from lifestream.commands.opened import checked, with_site
from lifestream.commands.said import AsJson, ago, out, print_json

app = typer.Typer(no_args_is_help=True, help="Webhooks: what forges and others send here.")


@app.command("add")
def hook_add(
    adapter: Annotated[
        str,
        typer.Argument(
            help="github, gitea, forgejo, gogs, gitlab, bitbucket, sourcehut, jellyfin, plex, generic, or your own."
        ),
    ],
    slug: Annotated[str, typer.Option(help="Its name in the address, and the local source it posts into.")],
    secret: Annotated[str, typer.Option(help="Made up otherwise.")] = "",
    topic: Annotated[str, typer.Option(help="The feed to look at when it is called; without it, it posts.")] = "",
    private: Annotated[bool, typer.Option("--private", help="What it posts is only for you.")] = False,
    as_json: AsJson = False,
) -> None:
    """Makes a webhook, and says what to enter at the other side. The secret is shown this once."""
    from lifestream.webhooks import NewHook, add_hook

    async def command(site: Any) -> None:
        new = checked(NewHook, adapter=adapter, slug=slug, secret=secret, topic=topic, private=private)
        _tell_hook(site, *await add_hook(site, new), as_json=as_json)

    with_site(command)


@app.command("rotate")
def hook_rotate(
    slug: str,
    secret: Annotated[str, typer.Option(help="Made up otherwise.")] = "",
    as_json: AsJson = False,
) -> None:
    """Gives a webhook another secret. The one before stays good for a week."""
    from lifestream.webhooks import rotate_hook

    async def command(site: Any) -> None:
        _tell_hook(site, *await rotate_hook(site, slug, secret), as_json=as_json)

    with_site(command)


def _tell_hook(site: Any, hook: Any, set_up: str, *, as_json: bool) -> None:
    from lifestream.webhooks import hook_json

    found = hook_json(site, hook)
    if as_json:
        print_json(found | {"secret": hook.secret, "set_up": set_up})
        return
    does = f"looks at {hook.topic}" if hook.topic else f"posts into the local source {found['source']}"
    out.print(f"address  {found['url']}\nsecret   {hook.secret}\nIt {does}.\n\n{set_up}")


@app.command("list")
def hook_list(as_json: AsJson = False) -> None:
    """The webhooks, and what came last."""
    from lifestream.webhooks import listing

    async def command(site: Any) -> None:
        found = await listing(site)
        if as_json:
            print_json(found)
            return
        table = Table("hook", "adapter", "does", "last delivery", "")
        for one in found:
            last = one["last_delivery"] or {"received": None, "verdict": ""}
            when = ago(datetime.fromisoformat(last["received"]) if last["received"] else None)
            does = f"pings {one['topic']}" if one["topic"] else "posts"
            table.add_row(one["slug"], one["adapter"], does, when, last["verdict"])
        out.print(table)

    with_site(command)


@app.command("show")
def hook_show(slug: str, as_json: AsJson = False) -> None:
    """A webhook's last deliveries, and what became of each."""
    from lifestream.webhooks import shown

    async def command(site: Any) -> None:
        found = await shown(site, slug)
        if as_json:
            print_json(found)
            return
        table = Table("when", "answer", "")
        for one in found["deliveries"]:
            table.add_row(ago(datetime.fromisoformat(one["received"])), str(one["status"]), one["verdict"])
        out.print(f"{found['url']} ({found['adapter']})")
        out.print(table)

    with_site(command)


@app.command("remove")
def hook_remove(slug: str) -> None:
    """Closes a webhook's address. What it posted stays."""
    from lifestream.store import hooks

    async def command(site: Any) -> None:
        async with site.store.begin() as db:
            await hooks.remove(db, slug)
        out.print(f"Removed {slug}.")

    with_site(command)
