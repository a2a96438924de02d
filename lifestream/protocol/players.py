"""What to enter where, so that a player tells what it plays: the same words for the command, the owner's page and the
API. docs/scrobbling.md has more players, and tells of each what there is to know.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Player:
    name: str
    settings: str
    """To copy: several lines, or one."""


def players(base_url: str, token: str) -> list[Player]:
    return [
        Player(name, words.format(base=base_url, url=f"{base_url}/scrobble", token=token)) for name, words in _WORDS
    ]


_WORDS = (
    ("ListenBrainz, wherever it can be chosen", "API URL     {url}\nuser token  {token}"),
    ("Last.fm API 2.0, GNU FM, Libre.fm", "API URL   {url}/2.0/\nuser      any name\npassword  {token}"),
    ("Audioscrobbler 1.2", "URL       {url}/\nuser      any name\npassword  {token}"),
    (
        "mpdscribble, in mpdscribble.conf",
        "[lifestream]\nurl = {url}/\nusername = me\npassword = {token}\n"
        "journal = /var/cache/mpdscribble/lifestream.journal",
    ),
    ("multi-scrobbler, in its environment", "LZ_URL={url}/\nLZ_TOKEN={token}\nLZ_USER=me"),
    (
        "Navidrome",
        "on the server  ND_LISTENBRAINZ_BASEURL={url}/1/\nthen           Personal, Scrobble to ListenBrainz: {token}",
    ),
    (
        "Jellyfin, ListenBrainz plugin",
        "ListenBrainz URL            {url}\nAPI token, for each user    {token}",
    ),
    ("Web Scrobbler, in a browser", "Accounts, ListenBrainz  {url}/1/submit-listens\ntoken                   {token}"),
    ("Pano Scrobbler", "ListenBrainz of your own  {url}/\ntoken                     {token}"),
    ("rescrobbled, in config.toml", '[[listenbrainz]]\nurl = "{url}/1/"\ntoken = "{token}"'),
    (
        "curl, to try it",
        "curl {url}/1/submit-listens -H 'Authorization: Token {token}' --json "
        '\'{{"listen_type":"playing_now","payload":[{{"track_metadata":'
        '{{"artist_name":"Björk","track_name":"Jóga"}}}}]}}\'',
    ),
)
