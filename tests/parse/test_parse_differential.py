"""feedparser, which has read feeds for twenty years, sees what we see; where it does not, a reason is on record."""

import json
from pathlib import Path

import pytest

from bench import differential

SAMPLES = [Path(__file__).parent / "data", Path(__file__).parents[1] / "clean" / "data"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.parent.name)
def test_feedparser_agrees(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = differential.main(folder)
    said = capsys.readouterr().out
    assert (result, "\n0 disagreements" in f"\n{said}") == (0, True), said


def test_every_accepted_difference_has_a_reason() -> None:
    accepted = json.loads(differential.ACCEPTED.read_text("utf-8"))
    assert all(len(one["reason"]) > 10 for one in accepted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_disagreement_is_listed_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    item = "<item><guid>1</guid><link>https://b.example/1</link><title>AT&T</title></item>"
    (tmp_path / "odd.xml").write_text(f"<rss><channel>{item}</channel></rss>")
    assert differential.main(tmp_path) == 1
    assert "odd.xml  1\n  title: ours 'AT&T'" in capsys.readouterr().out
