"""The settings in force: what the environment says, and where it says nothing, what the owner chose on the settings
page. That may change at any time, from any process of this site.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.config import CHOSEN, PREFIX, Config, checked
from lifestream.log import get_logger
from lifestream.store import bells, settings
from lifestream.store.database import Store

log = get_logger(__name__)


class Settings:
    """`config` is in force now. Each other one has another `version`, which is of this process alone."""

    def __init__(self, given: Config) -> None:
        self.config = given
        self.version = 0
        self.changed: Callable[[], None] = lambda: None
        """Called in the same tick as `config` changes."""
        self._given = given

    @property
    def fixed(self) -> Mapping[str, str]:
        """The fields that the owner cannot change here, and the variables that set them."""
        return {field: PREFIX + field.upper() for field in CHOSEN if field in self._given.model_fields_set}

    def at(self, base_url: str) -> "Settings":
        """The same at another address."""
        found = Settings(self._given.model_copy(update={"base_url": base_url}))
        found.config = self.config.model_copy(update={"base_url": base_url})
        return found

    async def read(self, db: AsyncConnection) -> None:
        """Takes up what was chosen meanwhile, here or by another process."""
        chosen = {field: value for field, value in (await settings.chosen(db)).items() if field not in self.fixed}
        config = self._given.model_copy(update=_understood(chosen))
        if config != self.config:
            self.config = config
            self.version += 1
            self.changed()

    async def follow(self, store: Store) -> None:
        """Runs until cancelled."""

        async def take_up() -> None:
            async with store.read() as db:
                await self.read(db)

        await bells.follow(store.bells[bells.SETTINGS], "settings", take_up)


def _understood(chosen: Mapping[str, str]) -> dict[str, Any]:
    """A value that this version, or this machine's list of time zones, does not know is left out."""
    found: dict[str, Any] = {}
    for field, value in chosen.items():
        try:
            found[field] = checked(field, orjson.loads(value))
        except ValueError:
            continue
    return found
