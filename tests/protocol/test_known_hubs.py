"""Hubs that push feeds which do not say so."""

import pytest

from lifestream.protocol.known_hubs import known_hub

GOOGLE = "https://pubsubhubbub.appspot.com/"
TOPIC = "https://www.youtube.com/xml/feeds/videos.xml?"


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://www.youtube.com/feeds/videos.xml?channel_id=UC-x_1", "channel_id=UC-x_1"),
        ("http://youtube.com/feeds/videos.xml?playlist_id=PL1", "playlist_id=PL1"),
        ("https://www.youtube.com/xml/feeds/videos.xml?channel_id=UCx", "channel_id=UCx"),
    ],
)
def test_youtube_is_pushed_by_googles_hub(address, asked):
    assert known_hub(address) == (GOOGLE, TOPIC + asked)


@pytest.mark.parametrize(
    "address",
    [
        "https://www.youtube.com/feeds/videos.xml", "https://www.youtube.com/feeds/videos.xml?channel_id=",
        "https://www.youtube.com/feeds/videos.xml?channel_id=UCx&evil=1", "https://www.youtube.com/@name",
        "https://www.youtube.com.evil.example/feeds/videos.xml?channel_id=UCx", "https://blog.example/feed",
    ],
)  # fmt: skip
def test_nothing_else_is_taken_for_it(address):
    assert known_hub(address) is None
