"""Each document in data/ is read to what its .expected.json says: a new format brings samples, not test code."""

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import feedparser
import pytest

from lifestream.parse import parse

DATA = Path(__file__).parent / "data"
SAMPLES = sorted(path for path in DATA.iterdir() if path.is_file() and ".expected" not in path.name)
URL = "https://fetched.example/dir/feed"


def said(value: Any) -> Any:
    """Without what is empty, so that an expectation names only what is there."""
    if isinstance(value, dict):
        return {name: said(inner) for name, inner in value.items() if inner not in ("", None, (), [], {}, False)}
    if isinstance(value, list | tuple):
        return [said(inner) for inner in value]
    return value


def expectation(sample: Path) -> Path:
    return sample.with_name(f"{sample.name}.expected.json")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_read_as_expected(sample: Path) -> None:
    assert said(asdict(parse(sample.read_bytes(), "", URL))) == json.loads(expectation(sample).read_text())


@pytest.mark.parametrize(
    "sample",
    [s for s in SAMPLES if s.suffix not in (".json", ".html") and s.stem not in ("deletes", "bare-entry")],
    ids=lambda p: p.name,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_feedparser_sees_the_same_entries(sample: Path) -> None:
    ours = parse(sample.read_bytes(), "", URL)
    theirs = feedparser.parse(BytesIO(sample.read_bytes()), sanitize_html=False, resolve_relative_uris=False)
    assert [entry.id for entry in ours.entries] == [entry.get("id", "") for entry in theirs.entries]
    for mine, other in zip(ours.entries, theirs.entries, strict=True):
        assert mine.link.rpartition("/")[2] == other.get("link", "").rpartition("/")[2]
        assert (mine.title.value if mine.title else "").replace("&amp;", "&") == other.get("title", "").replace(
            "&amp;", "&"
        )
