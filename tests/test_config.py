"""The settings: what each of them takes, and what is said of a bad one."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from lifestream.config import PREFIX, VARIABLES, Config, system_timezone
from lifestream.errors import ConfigError

SETTINGS = Path(__file__).parents[1] / "docs" / "settings.md"


def config(dotenv: Path | None = None, **given: str) -> Config:
    return Config.from_env({PREFIX + name: value for name, value in given.items()}, dotenv=dotenv)


def refusal(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_without_settings_everything_has_a_value_that_works() -> None:
    plain = config()
    assert plain.base_url == ""
    assert plain.sqlite_path == Path("data/lifestream.sqlite3")
    assert (plain.poll_min, plain.poll_max, plain.max_feed_bytes) == (900, 86_400, 10_485_760)
    assert (plain.lang, plain.log_format) == ("en", "text")
    assert not plain.allow_networks.networks and not plain.hub_topics.every
    assert plain.zone.key == plain.timezone == system_timezone()


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("BASE_URL", "https://stream.example/", "https://stream.example"),
        ("BASE_URL", "https://STREAM.example:443/my/", "https://stream.example/my"),
        ("BASE_URL", "http://[::1]:8000", "http://[::1]:8000"),
        ("BASE_URL", "https://bücher.example", "https://xn--bcher-kva.example"),
        ("DATA_DIR", "/srv/data", Path("/srv/data")),
        ("DATABASE_URL", "sqlite:////srv/x.sqlite3", "sqlite:////srv/x.sqlite3"),
        ("DATABASE_URL", "postgresql://mara@db/life", "postgresql+psycopg://mara@db/life"),
        ("DATABASE_URL", "postgres://mara:p%40ss@db:5432/life", "postgresql+psycopg://mara:p%40ss@db:5432/life"),
        ("DATABASE_URL", "postgresql+asyncpg://db/life", "postgresql+psycopg://db/life"),
        ("DATABASE_URL", "postgresql:///life?host=/run/pg", "postgresql+psycopg:///life?host=/run/pg"),
        ("REDIS_URL", "redis://:secret@cache:6379/1", "redis://:secret@cache:6379/1"),
        ("REDIS_URL", "unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("TITLE", "  Mara’s days ", "Mara’s days"),
        ("AUTHOR_URL", "https://mara.example", "https://mara.example"),
        ("TIMEZONE", "Europe/Lisbon", "Europe/Lisbon"),
        ("LANG", "pt-BR", "pt-BR"),
        ("POLL_MIN", "60", 60),
        ("POLL_MAX", "900", 900),
        ("MAX_FEED_BYTES", "1024", 1024),
        ("LOG_FORMAT", "json", "json"),
        ("POLL_MIN", "", 900),
    ],
)
def test_a_good_value_is_taken(name: str, given: str, meant: object) -> None:
    assert getattr(config(**{name: given}), name.lower()) == meant


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("BASE_URL", "stream.example"),
        ("BASE_URL", "ftp://stream.example"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "https://stream.example/?a=b"),
        ("BASE_URL", "https://stream.example/#a"),
        ("BASE_URL", "https://stream.example:port"),
        ("BASE_URL", "https://stream.example:99999"),
        ("BASE_URL", "https://[::1"),
        ("BASE_URL", "https://two words"),
        ("DATABASE_URL", "mysql://mara@db/life"),
        ("DATABASE_URL", "sqlite://file"),
        ("DATABASE_URL", "life.sqlite3"),
        ("REDIS_URL", "http://cache"),
        ("AUTHOR_URL", "javascript:alert(1)"),
        ("TIMEZONE", "Lisbon"),
        ("TIMEZONE", "../../etc/passwd"),
        ("TIMEZONE", "Europe"),
        ("LANG", "english please"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("ALLOW_NETWORKS", "192.168.1.0/24,not a host"),
        ("ALLOW_NETWORKS", "300.1.1.1"),
        ("HUB_TOPICS", "everything"),
        ("HUB_TOPICS", "any,own"),
        ("POLL_MIN", "soon"),
        ("POLL_MIN", "0"),
        ("POLL_MAX", "-1"),
        ("POLL_MAX", "1.5"),
        ("MAX_FEED_BYTES", "1"),
        ("MAX_FEED_BYTES", "10MB"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(name: str, given: str) -> None:
    assert refusal({PREFIX + name: given}).startswith(f"{PREFIX}{name}: ")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://mara:hunter2@db/life",
        "postgresql://mara:hunter2@db:port/life",
        "postgresql://mara:hunter2/x@db/life",
        "postgresql://mara:x@hunter2@db/life",
        "postgresql://mara:hunter2@[db/life",
        "hunter2",
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_what_is_said_of_a_bad_address_never_repeats_a_password(name: str, url: str) -> None:
    if name == "REDIS_URL":
        url = url.replace("postgresql", "redis")
    assert "hunter2" not in refusal({PREFIX + name: url})


def test_an_unknown_setting_is_refused_and_the_known_ones_are_named() -> None:
    message = refusal({"LIFESTREAM_BASEURL": "https://stream.example"})
    assert message.startswith("LIFESTREAM_BASEURL ")
    assert "LIFESTREAM_BASE_URL" in message


def test_variables_of_others_are_nobodys_business() -> None:
    assert Config.from_env({"PATH": "/bin", "LIFE": "1", "base_url": "x"}) == config()


def test_the_bounds_of_polling_must_be_in_order() -> None:
    message = refusal({"LIFESTREAM_POLL_MIN": "1000", "LIFESTREAM_POLL_MAX": "999"})
    assert "LIFESTREAM_POLL_MIN" in message and "LIFESTREAM_POLL_MAX" in message


def test_lists_may_have_spaces() -> None:
    listed = config(ALLOW_NETWORKS=" 127.0.0.0/8 , gitea.lan,::1 ")
    assert len(listed.allow_networks.networks) == 2
    assert listed.allow_networks.hosts == {"gitea.lan"}
    assert config(HUB_TOPICS="own, https://blog.example/ ").hub_topics.allows("https://blog.example/feed")
    assert config(HUB_TOPICS="any").hub_topics.every


# -- the file ---------------------------------------------------------------------------------


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# mine\nLIFESTREAM_TITLE='From the file'\nexport LIFESTREAM_LANG=pt\nOTHER=1\n", "utf-8")
    assert (config(dotenv).title, config(dotenv).lang) == ("From the file", "pt")
    assert config(dotenv, TITLE="From outside").title == "From outside"


def test_a_bad_line_in_the_file_is_told_by_its_variable(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("LIFESTREAM_POLL_MIN=soon\n")
    with pytest.raises(ConfigError, match="LIFESTREAM_POLL_MIN"):
        config(dotenv)
    dotenv.write_text("LIFESTREAM_TITEL=x\n")
    with pytest.raises(ConfigError, match="LIFESTREAM_TITEL"):
        config(dotenv)


def test_a_file_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    assert config(tmp_path / ".env") == config(tmp_path) == config()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"LIFESTREAM_TITLE=\xff\xfe\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        config(dotenv)


# -- what follows from them -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("stream.lan", "http://stream.lan:8000"),
    ],
)
def test_the_base_url_is_where_the_server_listens(host: str, base_url: str) -> None:
    assert config().served_at(host, 8000).base_url == base_url


def test_a_base_url_that_was_given_stays() -> None:
    assert config(BASE_URL="https://stream.example").served_at("0.0.0.0", 80).base_url == "https://stream.example"


def test_https_is_secure_and_the_hub_is_ours() -> None:
    public = config(BASE_URL="https://stream.example/")
    assert public.secure and public.hub_url == "https://stream.example/hub"
    assert not config(BASE_URL="http://stream.example").secure


def test_the_database_file_is_in_the_data_folder_unless_named() -> None:
    assert config(DATA_DIR="/srv").sqlite_path == Path("/srv/lifestream.sqlite3")
    assert config(DATABASE_URL="sqlite:///x.db").sqlite_path == Path("x.db")
    assert config(DATABASE_URL="sqlite:////srv/x.db").sqlite_path == Path("/srv/x.db")
    assert config(DATABASE_URL="postgresql://db/life").sqlite_path is None


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        config().title = "other"


def test_the_zone_is_the_machines_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert config().timezone == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "nonsense")
    assert config().zone


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {
        line.split("|")[1].strip(): line for line in SETTINGS.read_text("utf-8").splitlines() if line.startswith("|")
    }
    documented = {name.strip("`") for name in rows if name.startswith(f"`{PREFIX}")}
    assert documented == {PREFIX + name.upper() for name in VARIABLES}
    for name in VARIABLES:
        default = Config.model_fields[name].default
        if isinstance(default, int):
            assert f"`{default}`" in rows[f"`{PREFIX}{name.upper()}`"]


def test_reading_settings_needs_no_database_and_no_server() -> None:
    heavy = "print([name for name in ('sqlalchemy', 'fastapi', 'starlette') if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys, lifestream.config; {heavy}"], capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"
