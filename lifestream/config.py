"""The settings: one table of fields, read once into a frozen `Config` that is handed to whoever needs it.

Each field of `VARIABLES` is the environment variable `LIFESTREAM_` + its name in capitals (CONTRACT in
docs/settings.md). An unknown or bad value stops the start with one line that names the variable. The fields of
`CHOSEN` are the owner's to set on the settings page too (settings.py), where the environment says nothing.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator, model_validator

from lifestream.errors import ConfigError
from lifestream.protocol.addresses import Networks, check_url
from lifestream.protocol.hub import TopicRule

PREFIX = "LIFESTREAM_"
CHOSEN = ("title", "author", "author_url", "note", "picture", "links", "timezone", "lang", "theme")


class Link(BaseModel):
    """A page that is the owner's too (rel=me)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    url: str

    @field_validator("url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        return check_url(value)


class Config(BaseModel):
    """All settings, checked. `base_url` has no slash at its end; `database_url` names an async driver."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    base_url: str = ""
    data_dir: Path = Path("data")
    database_url: str = ""
    redis_url: str = ""
    title: str = ""
    author: str = ""
    author_url: str = ""
    note: str = ""
    """A sentence about the owner."""
    picture: str = ""
    """The version of the owner's picture; it is in the database (store/settings.py)."""
    links: tuple[Link, ...] = ()
    theme: Literal["system", "light", "dark"] = "system"
    """How the pages look to a reader who chose nothing."""
    timezone: str = Field(default_factory=lambda: system_timezone())
    lang: str = "en"
    trusted_proxies: Annotated[Networks, PlainValidator(lambda value: _networks(value))] = Networks()
    allow_networks: Annotated[Networks, PlainValidator(lambda value: _networks(value))] = Networks()
    hub_topics: Annotated[TopicRule, PlainValidator(lambda value: _topic_rule(value))] = Field(
        default_factory=lambda: TopicRule.parse("own")
    )
    poll_min: int = Field(900, ge=1, le=86_400 * 30)
    poll_max: int = Field(86_400, ge=1, le=86_400 * 30)
    max_feed_bytes: int = Field(10 * 1024 * 1024, ge=1024, le=2**31 - 1)
    media_quota: int = Field(10 * 1024**3, ge=0, le=2**63 - 1)
    log_format: Literal["text", "json"] = "text"

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, dotenv: Path | None = None) -> "Config":
        """Reads `LIFESTREAM_*` out of `environ`, and under it out of the file `dotenv`. Raises ConfigError."""
        given = {**_dotenv(dotenv), **environ}
        values: dict[str, Any] = {}
        for name, value in given.items():
            if not name.startswith(PREFIX):
                continue
            field = name.removeprefix(PREFIX).lower()
            if field not in VARIABLES:
                known = ", ".join(PREFIX + known.upper() for known in VARIABLES)
                raise ConfigError(f"{name} is no setting of lifestream; the settings are {known}.")
            if value.strip():
                values[field] = value.strip()
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigError(_first_problem(error)) from None

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, or None on PostgreSQL."""
        if self.database_url.startswith("postgresql"):
            return None
        name = self.database_url.partition("///")[2]
        return Path(name) if name else self.data_dir / "lifestream.sqlite3"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def hub_url(self) -> str:
        return f"{self.base_url}/hub"

    @property
    def picture_path(self) -> str:
        """Where the owner's picture is, in this version of it; empty where there is none."""
        return f"/owner.webp?v={self.picture}" if self.picture else ""

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")

    def served_at(self, host: str, port: int) -> "Config":
        """This config with `base_url` made up from where the server listens, unless it was set."""
        if self.base_url:
            return self
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return self.model_copy(update={"base_url": f"http://{name}:{port}"})

    @field_validator("base_url", "author_url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        if not value:
            return value
        if "?" in value or "#" in value:
            raise ValueError("must have no query and no fragment")
        return check_url(value).rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        value = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", value)
        if value and not value.startswith(("postgresql+psycopg://", "sqlite:///")):
            raise ValueError("must be postgresql://user@host/db or sqlite:///file")
        if value.startswith("postgresql") and not _readable(value):
            raise ValueError("cannot be read; in a password write / as %2F, @ as %40 and : as %3A")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        if value and not _readable(value):
            raise ValueError("cannot be read; in a password write / as %2F, @ as %40 and : as %3A")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, such as Europe/Lisbon") from None
        return value

    @field_validator("lang")
    @classmethod
    def _lang(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
            raise ValueError("must be a language tag, such as en or pt-BR")
        return value

    @model_validator(mode="after")
    def _bounds(self) -> "Config":
        if self.poll_min > self.poll_max:
            raise ValueError(f"LIFESTREAM_POLL_MIN ({self.poll_min}) is above LIFESTREAM_POLL_MAX ({self.poll_max})")
        return self


VARIABLES = tuple(name for name in Config.model_fields if name not in ("note", "picture", "links", "theme"))


def checked(field: str, value: Any) -> Any:
    """What one of the fields is, given `value`. Raises ValueError, with what is wrong with it."""
    try:
        return getattr(Config(**{field: value}), field)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


def system_timezone() -> str:
    """The machine's own zone by name; UTC where it cannot be told."""
    named = os.environ.get("TZ", "").lstrip(":")
    target = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return next((zone for zone in (named, target) if zone and zone in available_timezones()), "UTC")


def _dotenv(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}); it must be text in UTF-8.") from None


def _readable(url: str) -> bool:
    """What urllib and SQLAlchemy say of a bad one holds pieces of it, perhaps of its password."""
    try:
        parts = urlsplit(url)
        return parts.port is not None or parts.netloc.count("@") <= 1
    except ValueError:
        return False


def _networks(value: object) -> Networks:
    return value if isinstance(value, Networks) else Networks.parse(str(value))


def _topic_rule(value: object) -> TopicRule:
    return value if isinstance(value, TopicRule) else TopicRule.parse(str(value))


def _first_problem(error: ValidationError) -> str:
    """One line: the variable and what is wrong with it, without the value, which may hold a password."""
    problem = error.errors(include_input=False, include_url=False)[0]
    if not problem["loc"]:
        return f"{_sentence(error)}."
    return f"{PREFIX}{str(problem['loc'][0]).upper()}: {_sentence(error)}."


def _sentence(error: ValidationError) -> str:
    """What is wrong first, without the full stop."""
    return error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ").rstrip(".")
