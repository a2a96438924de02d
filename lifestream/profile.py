"""What the owner says of himself and how the pages are, as the API and the settings page change it."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from lifestream import pictures
from lifestream.clean.columns import json_of
from lifestream.config import checked
from lifestream.errors import Conflict, FetchError, InvalidInput, UnfitPicture
from lifestream.site import Site
from lifestream.store import bells
from lifestream.store import settings as stored
from lifestream.write import Strict, typed_address

MOST_LINKS = 20
MOST_BYTES = pictures.MOST_BYTES
PATIENCE_SECONDS = 15.0
"""The owner waits for it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _line(text: Any) -> Any:
    """In one line, and without what no text has."""
    return " ".join(_CONTROL.sub(" ", text).split()) if isinstance(text, str) else text


def _typed(url: str) -> str:
    """As people type it; an empty one stays so. Raises ValueError."""
    try:
        return url and typed_address(url)
    except InvalidInput as error:
        raise ValueError(str(error).removeprefix("url: ").rstrip(".")) from None


Line = Annotated[str, BeforeValidator(_line), Field(max_length=200)]
Address = Annotated[str, AfterValidator(_typed), Field(max_length=2048)]


class LinkIn(Strict):
    name: Annotated[Line, Field(min_length=1, max_length=100)]
    url: Annotated[Address, Field(min_length=1)]


class SettingsChange(Strict):
    """What is given is changed; what is given empty is the default again."""

    title: Line | None = None
    author: Line | None = None
    author_url: Address | None = None
    note: Annotated[str, BeforeValidator(_line), Field(max_length=1000)] | None = None
    picture: Address | None = None
    links: Annotated[list[LinkIn], Field(max_length=MOST_LINKS)] | None = None
    timezone: Line | None = None
    lang: Line | None = None
    theme: Literal["system", "light", "dark"] | None = None

    @field_validator("author_url", "timezone", "lang")
    @classmethod
    def _as_a_variable(cls, value: str | None, field: ValidationInfo) -> str | None:
        """By the same rules as in the environment."""
        return value and checked(field.field_name or "", value)

    def kept(self, field: str) -> str | None:
        """As it is kept; None for what is to be the default."""
        value = self.model_dump()[field]
        return json_of(value) if value else None


async def change(site: Site, wanted: SettingsChange) -> None:
    """Raises Conflict for what the environment sets, InvalidInput for a picture that is none."""
    given = wanted.model_fields_set
    for field in sorted(given & site.settings.fixed.keys()):
        raise Conflict(f"{field}: {site.settings.fixed[field]} in the environment sets it.")
    picture = await _fetched(site, wanted.picture) if wanted.picture else None
    async with site.store.begin(rings=[bells.SETTINGS]) as db:
        for field in given - {"picture"}:
            await stored.choose(db, field, wanted.kept(field))
        if "picture" in given:
            await stored.put_picture(db, picture)
    await _take_up(site)


async def send_picture(site: Site, body: bytes) -> None:
    """Raises InvalidInput for what is no picture."""
    picture = await _developed(site, body)
    async with site.store.begin(rings=[bells.SETTINGS]) as db:
        await stored.put_picture(db, picture)
    await _take_up(site)


def settings_json(site: Site) -> dict[str, Any]:
    config = site.config
    return {
        "title": config.title,
        "author": config.author,
        "author_url": config.author_url,
        "note": config.note,
        "picture": config.picture_path and config.base_url + config.picture_path,
        "links": [one.model_dump() for one in config.links],
        "timezone": config.timezone,
        "lang": config.lang,
        "theme": config.theme,
        "fixed": dict(site.settings.fixed),
    }


async def _take_up(site: Site) -> None:
    """Here at once; the other processes hear the bell."""
    async with site.store.read() as db:
        await site.settings.read(db)


async def _fetched(site: Site, url: str) -> bytes:
    try:
        answer = await site.client.get(url, headers=pictures.ACCEPT, max_bytes=MOST_BYTES, timeout=PATIENCE_SECONDS)
    except FetchError as error:
        raise InvalidInput(f"picture: {error}") from None
    if answer.status != 200:
        raise InvalidInput(f"picture: {url} was answered {answer.status}.")
    return await _developed(site, answer.body)


async def _developed(site: Site, body: bytes) -> bytes:
    """The smallest of the sizes that pictures are kept in: it is shown at a fifth of that."""
    try:
        made = await site.darkroom.develop(body)
    except UnfitPicture as error:
        raise InvalidInput(f"picture: {error}") from None
    return made.files[0]
