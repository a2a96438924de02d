"""Deliveries, by the short way: what reaches a callback, and what is made of whatever it sends."""

import asyncio
import socket
import ssl
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lifestream import client as clients
from lifestream import post
from lifestream.client import Client, Response
from lifestream.errors import BadAddress, TimedOut, Unreachable
from tests.fakes import SOON
from tests.servers import (
    CERTIFICATE,
    KIB,
    MIB,
    MS,
    Handler,
    Names,
    client,
    drip,
    for_ever,
    ok,
    redirect,
    request,
    server_tls,
    serving,
    writing,
)  # fmt: skip

BODY = bytes(range(256)) * 32
ATOM = {"Content-Type": "application/atom+xml", "X-Hub-Signature": "sha256=ab"}


async def deliver(http: Client, url: str, body: bytes = BODY, timeout: float = 5.0) -> Response:
    return await http.deliver(url, body=body, headers=ATOM, timeout=timeout)


async def test_what_is_sent_arrives_as_it_was_given() -> None:
    async with serving(ok(b"thanks", "X-Said: yes", status="202 Taken")) as server, client() as http:
        response = await deliver(http, server.url("/to/me?a=b c"))
        asked = server.asked[0]
    assert (asked.method, asked.target, asked.body) == ("POST", "/to/me?a=b%20c", BODY)
    assert asked.headers == {
        "host": f"127.0.0.1:{server.port}", "user-agent": "lifestream-test", "content-length": str(len(BODY)),
        "content-type": "application/atom+xml", "x-hub-signature": "sha256=ab",
    }  # fmt: skip
    assert (response.status, response.headers.get("x-said"), response.body) == (202, "yes", b"thanks")


async def test_without_the_fast_parser_they_go_the_way_of_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "Poster", None)
    async with serving(ok(status="410 Gone")) as server, client() as http:
        assert (await deliver(http, server.url())).status == 410
    assert server.asked[0].body == BODY


@pytest.mark.parametrize("body", [b"", bytes(4 * MIB)], ids=["empty", "large"])
async def test_a_body_of_any_size_arrives_whole(body: bytes) -> None:
    async with serving() as server, client() as http:
        for _ in range(2):
            await deliver(http, server.url(), body)
    assert [asked.body == body for asked in server.asked] == [True, True]


@pytest.mark.parametrize("header", [{"X": "a\r\nY: b"}, {"X": "a\0"}, {"X: y\r\nZ": "a"}, {"": "a"}])
async def test_a_header_is_one_line(header: dict[str, str]) -> None:
    async with serving() as server, client() as http:
        with pytest.raises(Unreachable, match="cannot be written as HTTP"):
            await http.deliver(server.url(), body=b"", headers=header, timeout=5.0)
    assert server.asked == []


# -- where it goes ----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "localhost", "[::1]", "[::ffff:7f00:1]", "169.254.169.254"])
async def test_private_space_is_refused(host: str) -> None:
    async with serving() as server, client(allow="") as http:
        with pytest.raises(BadAddress, match="private or special"):
            await deliver(http, server.url(host=host))
    assert server.connections == 0


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://127.0.0.1:25/", "http:///"])
async def test_what_is_no_address_for_us_is_refused(url: str) -> None:
    async with client() as http:
        with pytest.raises(BadAddress):
            await deliver(http, url)


async def test_a_name_is_judged_whenever_it_is_dialled() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"", "Connection: close"))

    names = Names(rebinding_example=[["127.0.0.2"], ["10.0.0.1"]])
    async with serving(raw=hangs_up, host="127.0.0.2") as server, client("127.0.0.2/32", resolve=names) as http:
        url = server.url(host="rebinding.example")
        assert (await deliver(http, url)).status == 200
        with pytest.raises(BadAddress, match=r"10\.0\.0\.1"):
            await deliver(http, url)


async def test_a_redirect_is_an_answer_like_others() -> None:
    async with serving() as other, serving(redirect(other.url())) as server, client() as http:
        assert (await deliver(http, server.url())).status == 302
    assert other.connections == 0


async def test_a_name_server_that_does_not_answer_is_given_up() -> None:
    async def never(host: str, port: int) -> list[IPv4Address | IPv6Address]:
        await asyncio.Event().wait()
        return []

    async with client(connect_timeout=50 * MS, resolve=never) as http:
        with pytest.raises(TimedOut, match=r"feeds\.example"):
            await deliver(http, "http://feeds.example/")


async def test_nobody_there_says_so() -> None:
    async with serving() as server:
        pass
    async with client() as http:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 refused the connection"):
            await deliver(http, server.url("/hush"))


# -- connections are kept ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        ok(status="204 None"),
        ok(b"x" * KIB),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n" + ok(),
    ],
    ids=["empty", "short", "chunked", "after 100 and 103"],
)
async def test_a_connection_is_used_again_when_the_answer_was_read_to_its_end(answer: bytes) -> None:
    async with serving(answer) as server, client() as http:
        for _ in range(3):
            response = await deliver(http, server.url())
            assert 200 <= response.status < 300 and not response.headers.get("link")
    assert (server.connections, len(server.asked)) == (1, 3)


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ok() + ok(status="500 Another"),
        ok() + b"and more",
        ok(b"x" * 64 * KIB),
    ],
    ids=["told so", "HTTP/1.0", "two answers", "longer than it says", "too much to read"],
)
async def test_a_connection_is_not_used_again_otherwise(answer: bytes) -> None:
    async with serving(answer) as server, client() as http:
        for _ in range(2):
            assert (await deliver(http, server.url())).status == 200
    assert server.connections == 2


async def test_each_host_has_its_own_connections() -> None:
    async with serving() as one, serving() as other, client() as http:
        for server in (one, other, one, other):
            await asyncio.gather(*(deliver(http, server.url()) for _ in range(5)))
    assert (len(one.asked), len(other.asked)) == (10, 10)
    assert (one.connections, other.connections) == (5, 5)


async def test_an_idle_connection_is_hung_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "KEEP_SECONDS", 20 * MS)
    ended = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())
        assert await reader.read() == b""
        ended.set()

    async with serving(raw=waits) as server, client() as http:
        await deliver(http, server.url())
        await asyncio.wait_for(ended.wait(), 5)
        await deliver(http, server.url())
    assert server.connections == 2


async def test_no_more_connections_are_kept_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "KEPT", 2)
    async with serving() as server, client() as http:
        for _ in range(2):
            await asyncio.gather(*(deliver(http, server.url()) for _ in range(5)))
    assert server.connections == 5 + 3


async def test_a_connection_that_was_hung_up_is_not_used_again() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())

    async with serving(raw=once) as server, serving() as other, client() as http:
        await deliver(http, server.url())
        await deliver(http, other.url())  # by now its end has arrived
        await deliver(http, server.url())
    assert server.connections == 2


async def test_a_connection_on_which_the_callback_speaks_unasked_is_not_used_again() -> None:
    released, said = asyncio.Event(), asyncio.Event()

    async def unasked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())
        await released.wait()
        writer.write(ok(status="410 Smuggled"))
        said.set()
        await asyncio.Event().wait()

    async with serving(raw=unasked) as server, serving() as other, client() as http:
        await deliver(http, server.url())
        released.set()
        await said.wait()
        await deliver(http, other.url())
        assert (await deliver(http, server.url())).status == 200
    assert server.connections == 2


async def test_what_was_sent_on_a_connection_that_then_closed_is_not_sent_twice() -> None:
    """The callback may have it: whether it is sent again is the hub's to say."""
    received: list[bytes] = []

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())
        received.append((await request(reader)).body)

    async with serving(raw=twice) as server, client() as http:
        await deliver(http, server.url())
        with pytest.raises(Unreachable, match="broke off"):
            await deliver(http, server.url(), b"again")
    assert (received, server.connections) == ([b"again"], 1)


# -- what callbacks send ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 999999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200 * KIB,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X: y\r\n" * 3_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"<html>hello</html>",
    ],
    ids=lambda sent: sent[:24].decode("latin-1").split("\r\n")[0] + f" and {len(sent)}",
)
async def test_what_is_no_answer_is_unreachable(sent: bytes) -> None:
    async with serving(raw=writing(sent)) as server, client() as http:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 broke off"):
            await deliver(http, server.url("/hush"))


async def test_what_is_no_answer_is_not_waited_for() -> None:
    async with serving(raw=writing(b"SSH-2.0-OpenSSH_9.2\r\n", then=for_ever)) as server, client() as http:
        with pytest.raises(Unreachable, match="broke off"):
            await deliver(http, server.url(), timeout=SOON)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 202 OK\r\n\r\nuntil it hangs up",
    ],
    ids=["too short", "chunks break off", "no chunks", "of no length"],
)
async def test_an_answer_counts_however_its_body_ends(sent: bytes) -> None:
    async with serving(raw=writing(sent)) as server, client() as http:
        assert (await deliver(http, server.url())).status == 202


@pytest.mark.parametrize("end", [for_ever, drip], ids=["stops", "drips"])
async def test_an_answer_counts_although_its_body_never_ends(end: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "GLANCE_SECONDS", 50 * MS)
    begun = b"HTTP/1.1 410 Gone\r\nContent-Length: 100000\r\n\r\nbye "
    async with serving(raw=writing(begun, then=end)) as server, client() as http:
        response = await deliver(http, server.url())
    assert (response.status, response.body[:4]) == (410, b"bye ")


async def test_of_a_long_body_the_beginning_is_kept() -> None:
    async with serving(ok(b"x" * MIB, status="500 Oops")) as server, client() as http:
        response = await deliver(http, server.url())
    assert (response.status, response.body) == (500, b"x" * 4 * KIB)


async def test_an_answer_that_comes_before_all_is_sent_counts_and_ends_the_connection() -> None:
    ended = asyncio.Event()

    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(status="413 Too Large"))
        with suppress(ConnectionError):
            while await reader.read(MIB):
                pass
        writer.transport.abort()
        ended.set()

    listening = await asyncio.start_server(at_once, "127.0.0.1", 0)
    async with listening, client() as http:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        for _ in range(2):
            ended.clear()
            assert (await deliver(http, url, bytes(32 * MIB))).status == 413
            await asyncio.wait_for(ended.wait(), 3)  # before it is hung up as idle


@pytest.mark.parametrize("slow", [for_ever, writing(b"HTTP/1.1 200 OK\r\n", then=drip)], ids=["silent", "dripping"])
async def test_an_answer_that_does_not_begin_is_given_up(slow: Handler) -> None:
    async with serving(raw=slow) as server, client() as http:
        with pytest.raises(TimedOut, match=r"127\.0\.0\.1 did not answer in time"):
            await deliver(http, server.url(), timeout=100 * MS)


def received(listening: socket.socket) -> int:
    """How much comes on its first connection, until that is hung up."""
    accepted, _ = listening.accept()
    accepted.settimeout(2)
    count = 0
    with accepted, suppress(ConnectionResetError):
        while data := accepted.recv(MIB):
            count += len(data)
    return count


async def test_a_callback_that_does_not_read_is_given_up_and_hung_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with client() as http:
            with pytest.raises(TimedOut):
                await deliver(http, f"http://127.0.0.1:{listening.getsockname()[1]}/", bytes(32 * MIB), 100 * MS)
        assert await asyncio.wait_for(asyncio.to_thread(received, listening), 5) < 32 * MIB


async def test_it_goes_on_after_failures() -> None:
    async with serving(raw=for_ever) as silent, serving() as server, client() as http:
        deliveries = (deliver(http, silent.url(), timeout=200 * MS) for _ in range(150))
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        assert {type(result) for result in results} == {TimedOut}
        assert (await deliver(http, server.url())).status == 200


# -- TLS --------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "feeds.example.pem"
    path.write_text(CERTIFICATE)
    return path


async def test_tls_asks_for_the_name_and_keeps_the_connection(certificate: Path) -> None:
    tls = server_tls(certificate)
    wanted: list[str | None] = []
    tls.sni_callback = lambda connection, name, context: wanted.append(name)
    names = Names(feeds_example=[["127.0.0.1"]])
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(tls=tls) as server, client(resolve=names, tls=trusting) as http:
        for _ in range(2):
            assert (await deliver(http, f"https://feeds.example:{server.port}/")).status == 200
    assert (wanted, server.connections) == (["feeds.example"], 1)
    assert [asked.body for asked in server.asked] == [BODY, BODY]


async def test_a_certificate_that_is_not_valid_is_refused_before_anything_is_sent(certificate: Path) -> None:
    names = Names(feeds_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(tls=server_tls(certificate)) as server:
        async with client(resolve=names) as http:
            with pytest.raises(Unreachable, match=r"certificate of feeds\.example is not valid here: self.signed"):
                await deliver(http, f"https://feeds.example:{server.port}/")
        async with client(resolve=names, tls=trusting) as http:
            with pytest.raises(Unreachable, match="certificate of other"):
                await deliver(http, f"https://other.example:{server.port}/")
        assert server.asked == []


async def test_https_to_a_callback_of_plain_http_says_so() -> None:
    async with serving(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, client() as http:
        with pytest.raises(Unreachable, match="No secure connection"):
            await deliver(http, f"https://127.0.0.1:{server.port}/")
