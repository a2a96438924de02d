from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lifestream.client import Client
from lifestream.errors import BadStatus
from lifestream.fetch import LONGEST_VALIDATOR, Document, Unchanged, Validators, fetch
from lifestream.protocol.addresses import Networks
from tests.fakes import serving

ATOM = b"<feed xmlns='http://www.w3.org/2005/Atom'/>"
MODIFIED = "Tue, 13 Oct 2026 08:00:00 GMT"


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    client = Client(allow=Networks.parse("127.0.0.0/8"), user_agent="lifestream-test", max_bytes=2**20)
    yield client
    await client.aclose()


def publisher(answer: Callable[[Request], Response]) -> object:
    async def app(scope: dict, receive: object, send: object) -> None:
        await answer(Request(scope))(scope, receive, send)

    return app


def saying(status: int, body: bytes = b"", **headers: str) -> object:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return publisher(lambda request: Response(body, status, named))


async def test_a_document_comes_with_all_that_its_headers_say(http: Client) -> None:
    def answer(request: Request) -> Response:
        response = Response(ATOM, media_type="application/atom+xml")
        for name, value in [
            ("Link", '<https://hub.example/>; rel="hub"'),
            ("Link", '<https://mara.example/feed>; rel="self"'),
            ("ETag", 'W/"1"'),
            ("Last-Modified", MODIFIED),
            ("Cache-Control", "public"),
            ("Cache-Control", "max-age=600"),
            ("Retry-After", "900"),
        ]:
            response.headers.append(name, value)
        return response

    async with serving(publisher(answer)) as url:
        assert await fetch(http, f"{url}/feed") == Document(
            url=f"{url}/feed",
            body=ATOM,
            media_type="application/atom+xml",
            links=('<https://hub.example/>; rel="hub"', '<https://mara.example/feed>; rel="self"'),
            validators=Validators('W/"1"', MODIFIED),
            permanent_url=None,
            cache_control="public, max-age=600",
            retry_after="900",
        )


async def test_feeds_are_asked_for_before_pages(http: Client) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return Response()

    async with serving(publisher(answer)) as url:
        await fetch(http, url)
    accept = asked[0].headers["accept"]
    assert accept.index("application/atom+xml") < accept.index("text/html") < accept.index("*/*")
    assert not {"if-none-match", "if-modified-since"} & set(asked[0].headers)


async def test_a_document_that_we_have_is_not_sent_again(http: Client) -> None:
    def answer(request: Request) -> Response:
        headers = {"ETag": '"v1"', "Last-Modified": MODIFIED, "Cache-Control": "max-age=60"}
        if request.headers.get("if-none-match") == '"v1"' and request.headers.get("if-modified-since") == MODIFIED:
            return Response(status_code=304, headers={"ETag": '"v1"', "Cache-Control": "max-age=60"})
        return Response(ATOM, headers=headers)

    async with serving(publisher(answer)) as url:
        first = await fetch(http, url)
        assert isinstance(first, Document)
        assert await fetch(http, url, first.validators) == Unchanged(f"{url}/", first.validators, "max-age=60")
        assert isinstance(await fetch(http, url, Validators(etag='"v0"')), Document)


async def test_a_moved_document_knows_where_it_is_now(http: Client) -> None:
    def answer(request: Request) -> Response:
        return Response(ATOM) if request.url.path == "/new" else RedirectResponse("/new", 301)

    async with serving(publisher(answer)) as url:
        found = await fetch(http, f"{url}/old")
    assert isinstance(found, Document)
    assert (found.url, found.permanent_url) == (f"{url}/new", f"{url}/new")


async def test_an_empty_document_is_one(http: Client) -> None:
    async with serving(saying(200)) as url:
        found = await fetch(http, url)
    assert isinstance(found, Document)
    assert (found.body, found.media_type, found.validators) == (b"", "", Validators())


async def test_a_validator_that_is_too_long_to_send_is_left(http: Client) -> None:
    async with serving(saying(200, ETag='"' + "x" * LONGEST_VALIDATOR + '"', Last_Modified=MODIFIED)) as url:
        found = await fetch(http, url)
    assert found.validators == Validators("", MODIFIED)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (304, "was not asked"),
        (300, "redirects without"),
        (400, "answered 400"),
        (401, "does not let us"),
        (403, "does not let us"),
        (404, "nothing at this address"),
        (410, "gone for good"),
        (418, "answered 418"),
        (429, "less often"),
        (500, "trouble of its own"),
        (503, "trouble of its own"),
    ],
)
async def test_another_status_is_told_in_a_sentence(http: Client, status: int, why: str) -> None:
    async with serving(saying(status)) as url:
        with pytest.raises(BadStatus, match=why) as error:
            await fetch(http, f"{url}/feed?key=hush")
    assert (error.value.status, error.value.url, error.value.retry_after) == (status, f"{url}/feed?key=hush", None)
    assert str(error.value).startswith("127.0.0.1 ")
    assert str(error.value).endswith(".")
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_read_as_seconds_or_as_a_date(http: Client, status: int) -> None:
    async with serving(saying(status, Retry_After="120")) as url:
        with pytest.raises(BadStatus) as error:
            await fetch(http, url)
    assert error.value.retry_after == 120
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    async with serving(saying(status, Retry_After=later)) as url:
        with pytest.raises(BadStatus) as error:
            await fetch(http, url)
    assert error.value.retry_after == pytest.approx(3600, abs=60)
