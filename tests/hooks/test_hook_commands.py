"""`lifestream hook …`, run as people run it."""

from pathlib import Path

from tests.test_cli import Command, done, environment, lifestream, refused, value

__all__ = ["environment", "lifestream"]


def test_a_hook_is_made_listed_shown_and_removed(lifestream: Command) -> None:
    said = done(lifestream("hook", "add", "gogs", "--slug", "code", "--secret", "s3cret"))
    assert "http://127.0.0.1:8000/hooks/code" in said and "s3cret" in said and "Payload URL" in said
    (found,) = value(lifestream("hook", "list", "--json"))
    assert found["adapter"] == "gogs" and found["action"] == "post" and "secret" not in found
    assert "code" in done(lifestream("hook", "list")) and "s3cret" not in done(lifestream("hook", "show", "code"))
    assert value(lifestream("hook", "rotate", "code", "--json"))["secret"] != "s3cret"
    assert "Removed" in done(lifestream("hook", "remove", "code"))
    assert "no hook" in refused(lifestream("hook", "show", "code"))


def test_an_adapter_of_ones_own_is_taken_from_the_data_folder(lifestream: Command, tmp_path: Path) -> None:
    assert "there are bitbucket" in refused(lifestream("hook", "add", "doorbell", "--slug", "door"))
    (tmp_path / "data" / "hooks").mkdir()
    words = "def doubt(call, secrets, now): return ''\ndef events(call, payload): return []\nSET_UP = 'Ring at {url}'\n"
    (tmp_path / "data" / "hooks" / "doorbell.py").write_text(words)
    assert "Ring at http" in done(lifestream("hook", "add", "doorbell", "--slug", "door"))
