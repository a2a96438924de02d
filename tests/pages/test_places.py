from pathlib import Path

import pytest

from lifestream import places


@pytest.mark.parametrize("name", ["templates", "static", "migrations", "hooks"])
def test_a_checkout_has_its_folders_beside_the_package(name: str) -> None:
    assert places.top(name) == places.PACKAGE.parent / name
    assert places.top(name).is_dir()


def test_an_installed_copy_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_top" / "static").mkdir(parents=True)
    monkeypatch.setattr(places, "PACKAGE", tmp_path)
    assert places.top("static") == tmp_path / "_top" / "static"
