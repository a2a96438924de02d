"""The settings and the database, as a command finds them: beside a running server if need be."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from lifestream.config import Config
from lifestream.errors import InvalidInput

T = TypeVar("T")
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000


def read_config() -> Config:
    from lifestream import log

    config = Config.from_env(os.environ, dotenv=Path(".env"))
    log.configure(config.log_format)
    return config


def own_address(config: Config) -> Config:
    """Where `serve` listens unless told otherwise."""
    return config.served_at(DEFAULT_HOST, DEFAULT_PORT)


def with_site(command: Callable[[Any], Awaitable[T]]) -> T:
    """Opens and migrates the database, runs `command`, closes it."""
    from lifestream.site import Site
    from lifestream.store.migrate import migrate as bring_up

    async def go() -> T:
        config = read_config()
        site = Site.open(own_address(config))
        try:
            await bring_up(site.store)
            await site.prepare(starting=False)
            return await command(site if config.base_url else await site.where_it_was_served())
        finally:
            await site.aclose()

    return asyncio.run(go())


def checked(model: Any, **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.") from None
