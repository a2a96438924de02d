"""What an owner does, in short words: writes, edits, deletes, shows and hides."""

from typing import Any

from sqlalchemy import update

from lifestream.site import Site
from lifestream.store import bells, entries, sources
from lifestream.store.tables import EntryRow
from lifestream.types import Entry, Stored, Visibility
from lifestream.write import write_entry


async def has_source(site: Site, slug: str, visibility: Visibility = "public") -> None:
    async with site.store.begin() as db:
        await sources.add_local(db, slug, now=site.now(), visibility=visibility)


async def writes(site: Site, title: str, slug: str = "notes", **more: Any) -> Stored:
    values: dict[str, Any] = {"kind": "note", "title": title, "published": site.now()} | more
    return await write_entry(site, slug, Entry(**values))


async def edits(site: Site, stored: Stored, **changed: Any) -> Stored:
    values = {name: getattr(stored.entry, name) for name in Entry.__dataclass_fields__} | changed
    async with site.store.begin(rings=[bells.LOG]) as db:
        await entries.edit(db, stored, Entry(**values), now=site.now())
        return await entries.one(db, stored.id, audience="owner")


async def deletes(site: Site, stored: Stored) -> None:
    async with site.store.begin(rings=[bells.LOG]) as db:
        await entries.remove(db, stored, now=site.now())


async def shows_to(site: Site, slug: str, visibility: Visibility) -> None:
    async with site.store.begin(rings=[bells.LOG]) as db:
        source = await sources.get(db, slug, audience="owner")
        await sources.set_visibility(db, source, visibility, site.now())


async def gets_history(site: Site, *titles: str, slug: str = "notes") -> None:
    """Entries that arrive quietly, as those of a source's first document do."""
    async with site.store.begin(rings=[bells.LOG]) as db:
        source = await sources.get(db, slug, audience="owner")
        for title in titles:
            public_id = await entries.add(db, source, Entry(kind="note", title=title), now=site.now())
            await db.execute(update(EntryRow).where(EntryRow.public_id == public_id).values(quiet=True))
