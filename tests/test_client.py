"""Against small real servers on loopback: what reaches them, and what `Client` makes of what they send."""

import asyncio
import gzip
import ssl
import tracemalloc
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lifestream.client import Headers
from lifestream.errors import BadAddress, FetchError, TimedOut, TooLarge, TooManyRedirects, Unreachable
from tests.servers import (
    CERTIFICATE,
    KIB,
    LOOPBACK,
    MIB,
    MS,
    Asked,
    Handler,
    Names,
    client,
    drip,
    for_ever,
    ok,
    redirect,
    server_tls,
    serving,
    writing,
)  # fmt: skip

# -- where requests go ------------------------------------------------------------------------

SPELLINGS = """
127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 017700000001 0177.0.0.1 00177.1 127.0.0.1. 127.255.255.254
0 0.0.0.0 0x0 localhost LOCALHOST localhost. [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1]
[::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [fe80::1] [fec0::1] [ff02::1] [fd00::1] [100::1]
127。0。0。1 127．0．0．1 １２７.0.0.1 ⑫７.0.0.1 ｌｏｃａｌｈｏｓｔ ⓛocalhost
10.0.0.1 10.1 100.64.0.1 169.254.169.254 0xa9fea9fe 2852039166 172.16.0.1 192.168.0.1 192.0.0.8 192.0.2.1 198.18.0.1
198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
""".split()


@pytest.mark.parametrize("host", SPELLINGS)
async def test_private_space_is_refused_however_it_is_spelt(host: str) -> None:
    async with serving() as canary, client(allow="") as http:
        with pytest.raises(FetchError) as error:
            await http.get(canary.url("/secret?token=hush", host))
        assert canary.connections == 0
    assert isinstance(error.value, BadAddress | Unreachable)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "127。0。0。1"])
async def test_allowed_networks_are_reached_in_those_spellings(host: str) -> None:
    async with serving() as server, client(allow=f"{LOOPBACK}, ::1") as http:
        assert (await http.get(server.url("/", host))).status == 200


async def test_the_refusal_says_what_would_allow_it() -> None:
    async with client(allow="") as http:
        with pytest.raises(BadAddress, match="LIFESTREAM_ALLOW_NETWORKS"):
            await http.get("http://192.168.1.1/")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://a:b@127.0.0.1/",
        "http://127.0.0.1:25/",
        "http://a\nb/",
    ],
)
async def test_what_is_no_address_for_us_is_refused(url: str) -> None:
    async with client() as http:
        with pytest.raises(BadAddress) as error:
            await http.get(url)
    assert error.value.url == url


async def test_a_name_is_refused_for_what_it_resolves_to() -> None:
    names = Names(inside_example=[["10.0.0.7"]], nothing_example=[[]])
    async with client(resolve=names) as http:
        with pytest.raises(BadAddress, match=r"inside\.example is at 10\.0\.0\.7"):
            await http.get("http://inside.example/")
        with pytest.raises(Unreachable, match="no address for nothing"):
            await http.get("http://nothing.example/")
        with pytest.raises(Unreachable, match="no address for unknown"):
            await http.get("http://unknown.example/")


async def test_a_name_may_be_allowed_itself() -> None:
    names = Names(gitea_lan=[["127.0.0.1"]], evil_example=[["127.0.0.1"]])
    async with serving() as server, client(allow="gitea.lan", resolve=names) as http:
        await http.get(server.url(host="Gitea.Lan"))
        with pytest.raises(BadAddress):
            await http.get(server.url(host="evil.example"))
    assert [asked.headers["host"] for asked in server.asked] == [f"gitea.lan:{server.port}"]


async def test_the_address_that_was_checked_is_the_one_that_is_dialled() -> None:
    names = Names(rebinding_example=[["127.0.0.2"], ["127.0.0.1"]])
    async with (
        serving(ok(b"", "Connection: close"), host="127.0.0.2") as server,
        client(allow="127.0.0.2", resolve=names) as http,
    ):
        await http.get(server.url(host="rebinding.example"))
        assert names.asked == ["rebinding.example"]
        with pytest.raises(BadAddress, match=r"at 127\.0\.0\.1"):
            await http.get(server.url(host="rebinding.example"))
    assert server.connections == 1


async def test_of_several_addresses_only_the_allowed_are_dialled() -> None:
    names = Names(mixed_example=[["127.0.0.1", "127.0.0.2"]])
    async with serving(host="127.0.0.2") as server, client(allow="127.0.0.2", resolve=names) as http:
        assert (await http.get(server.url(host="mixed.example"))).status == 200


async def test_the_next_address_is_tried_when_one_is_dead() -> None:
    names = Names(two_example=[["127.0.0.3", "127.0.0.2"]])
    async with serving(host="127.0.0.2") as server, client(resolve=names) as http:
        assert (await http.get(server.url(host="two.example"))).status == 200


async def test_proxies_in_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as proxy, serving() as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        async with client() as http:
            await http.get(server.url())
    assert (proxy.connections, server.connections) == (0, 1)


# -- redirects --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:{port}/", "http://2130706433:{port}/", "//0x7f.1:{port}/", "file:///etc/passwd", "http://["],
)
async def test_a_redirect_to_where_we_must_not_go_is_refused(to: str) -> None:
    names = Names(feeds_example=[["127.0.0.1"]])
    real = {"2130706433": [["127.0.0.1"]], "0x7f.1": [["127.0.0.1"]]}
    names.answers.update(real)
    async with serving() as canary, serving(redirect(to.format(port=canary.port))) as server:
        async with client(allow="feeds.example", resolve=names) as http:
            with pytest.raises(BadAddress):
                await http.get(server.url(host="feeds.example"))
        assert (server.connections, canary.connections) == (1, 0)


async def test_redirects_are_followed_relative_and_without_their_fragment() -> None:
    steps = {"/a/b": redirect("../c?x=1#top"), "/c?x=1": ok(b"here")}
    async with serving(lambda asked: steps[asked.target]) as server, client() as http:
        response = await http.get(server.url("/a/b"))
    assert (response.url, response.body) == (server.url("/c?x=1"), b"here")
    assert response.permanent_url is None
    assert server.connections == 1


@pytest.mark.parametrize(
    ("statuses", "permanent"),
    [((301,), "/1"), ((308, 301), "/2"), ((301, 302), "/1"), ((302, 301), None), ((307,), None), ((303, 308), None)],
)
async def test_a_move_is_permanent_as_far_as_every_step_says_so(
    statuses: tuple[int, ...], permanent: str | None
) -> None:
    def answer(asked: Asked) -> bytes:
        step = int(asked.target[1:])
        return redirect(f"/{step + 1}", statuses[step]) if step < len(statuses) else ok()

    async with serving(answer) as server, client() as http:
        response = await http.get(server.url("/0"))
    assert response.permanent_url == (permanent and server.url(permanent))


async def test_a_circle_of_redirects_is_noticed() -> None:
    steps = {"/a": redirect("/b"), "/b": redirect("/a")}
    async with serving(lambda asked: steps[asked.target]) as server, client() as http:
        with pytest.raises(TooManyRedirects, match="circle") as error:
            await http.get(server.url("/a"))
    assert len(server.asked) == 2
    assert error.value.url == server.url("/b")


async def test_redirects_end_after_as_many_as_are_allowed() -> None:
    async with serving(lambda asked: redirect(asked.target + "x")) as server, client() as http:
        with pytest.raises(TooManyRedirects, match="More than 5"):
            await http.get(server.url())
        assert len(server.asked) == 6


async def test_without_redirects_a_redirect_is_the_answer() -> None:
    async with serving(redirect("http://192.168.0.1/")) as server, client() as http:
        assert (await http.get(server.url(), redirects=0)).status == 302
        assert (await http.post(server.url(), body=b"", headers={})).status == 302


async def test_credentials_stay_with_the_host_they_were_meant_for() -> None:
    async with serving() as other, serving(redirect(other.url())) as server, client() as http:
        await http.get(server.url(), headers={"Authorization": "Bearer x", "Cookie": "a=b", "Accept": "text/html"})
    assert server.asked[0].headers["authorization"] == "Bearer x"
    assert not {"authorization", "cookie"} & other.asked[0].headers.keys()
    assert other.asked[0].headers["accept"] == "text/html"


async def test_cookies_are_not_kept() -> None:
    async with serving(ok(b"", "Set-Cookie: a=b; Path=/")) as server, client() as http:
        await http.get(server.url())
        await http.get(server.url())
    assert "cookie" not in server.asked[1].headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_post_is_sent_again_to_where_the_hub_moved(status: int) -> None:
    steps = {"/old": redirect("/new", status), "/new": ok(b"", status="202 Accepted")}
    async with serving(lambda asked: steps[asked.target]) as server, client() as http:
        response = await http.post(server.url("/old"), body=b"hub.mode=subscribe", headers={"X": "y"}, redirects=3)
    assert response.status == 202
    assert [(asked.method, asked.body, asked.headers["x"]) for asked in server.asked] == [
        ("POST", b"hub.mode=subscribe", "y")
    ] * 2


async def test_a_post_is_not_turned_into_a_get() -> None:
    async with serving(redirect("/elsewhere", 303)) as server, client() as http:
        assert (await http.post(server.url(), body=b"x", headers={}, redirects=3)).status == 303
    assert len(server.asked) == 1


# -- what comes back --------------------------------------------------------------------------


async def test_an_answer_has_its_status_headers_and_body() -> None:
    answer = ok(b"gone", "Link: <a>; rel=hub", "link: <b>; rel=self", 'ETag: "\xe9"', status="410 Gone")
    async with serving(answer) as server, client() as http:
        response = await http.get(server.url("/x?y"), headers={"If-None-Match": '"\xe9"'})
    assert (response.status, response.body, response.url) == (410, b"gone", server.url("/x?y"))
    assert response.headers.get_list("LINK") == ["<a>; rel=hub", "<b>; rel=self"]
    assert response.headers.get("etag") == '"\xe9"'
    assert (server.asked[0].headers["if-none-match"], server.asked[0].target) == ('"\xe9"', "/x?y")
    assert server.asked[0].headers["user-agent"] == "lifestream-test"


def test_headers_have_no_case_and_keep_their_order() -> None:
    headers = Headers([(b"Vary", b"Accept"), (b"vary", b"Cookie")])
    assert (headers.get("VARY"), headers.get_list("Vary")) == ("Accept", ["Accept", "Cookie"])
    assert (headers.get("missing"), headers.get("missing", "x"), headers.get_list("missing")) == ("", "x", [])


async def test_connections_are_kept_and_used_again() -> None:
    async with serving(ok(b"x")) as server, client() as http:
        for _ in range(3):
            await http.get(server.url())
            await http.post(server.url(), body=b"y", headers={}, read_body=False)
    assert (server.connections, len(server.asked)) == (1, 6)


async def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"x"))

    async with serving(raw=once) as server, client() as http:
        assert (await http.get(server.url())).body == b"x"
        await asyncio.gather(*(http.get(server.url()) for _ in range(3)))
    assert server.connections == 4


async def test_a_large_post_arrives_whole() -> None:
    body = bytes(range(256)) * 16 * KIB
    async with serving() as server, client() as http:
        await http.post(server.url(), body=body, headers={"Content-Type": "application/atom+xml"})
    assert server.asked[0].body == body


def gzipped(data: bytes) -> bytes:
    """The same at every time: these are in the names of tests, which several processes have to agree on."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP"])
async def test_gzip_is_unpacked_member_after_member(coding: str) -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0\0"
    async with serving(ok(packed, f"Content-Encoding: {coding}")) as server, client() as http:
        assert (await http.get(server.url())).body == b"one two"
    assert server.asked[0].headers["accept-encoding"] == "gzip"


async def test_an_answer_of_exactly_the_limit_is_read() -> None:
    packed = gzip.compress(bytes(MIB))
    async with serving(ok(packed, "Content-Encoding: gzip")) as server, client() as http:
        assert (await http.get(server.url())).body == bytes(MIB)
    async with serving(ok(bytes(MIB))) as server, client() as http:
        assert len((await http.get(server.url())).body) == MIB


async def test_a_gzip_bomb_is_never_unpacked_past_the_limit() -> None:
    bomb = ok(gzip.compress(bytes(64 * MIB)), "Content-Encoding: gzip")
    async with serving(bomb) as server, client() as http:
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge, match="1 MiB"):
                await http.get(server.url())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 * MIB


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (gzipped(gzipped(b"x")), ["Content-Encoding: gzip, gzip"], "packed"),
        (gzipped(gzipped(b"x")), ["Content-Encoding: gzip", "Content-Encoding: gzip"], "packed"),
        (b"x", ["Content-Encoding: br"], "packed"),
        (b"plain", ["Content-Encoding: gzip"], "is gzip"),
        (gzipped(b"") * 2000, ["Content-Encoding: gzip"], "is gzip"),
        (gzipped(b"a feed")[:-9], ["Content-Encoding: gzip"], "broke off"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_says_so(body: bytes, headers: list[str], why: str) -> None:
    async with serving(ok(body, *headers)) as server, client() as http:
        with pytest.raises(Unreachable, match=why):
            await http.get(server.url())


async def test_an_endless_body_ends_at_the_limit() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + bytes(4 * KIB) + b"\r\n")
            await writer.drain()

    async with serving(raw=endless) as server, client() as http:
        with pytest.raises(TooLarge, match="1 MiB"):
            await http.get(server.url())
        with pytest.raises(TooLarge, match="64 KiB"):
            await http.get(server.url(), max_bytes=64 * KIB)
        assert len((await http.get(server.url(), read_body=False)).body) == 4 * KIB


async def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {MIB + 1}\r\n\r\n".encode()
    async with serving(raw=writing(head, then=for_ever)) as server, client() as http:
        with pytest.raises(TooLarge):
            await http.get(server.url())


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 999999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200 * KIB,
        b"",
    ],
)
async def test_an_answer_that_is_cut_off_or_no_http_is_unreachable(sent: bytes) -> None:
    async with serving(raw=writing(sent)) as server, client() as http:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 broke off"):
            await http.get(server.url("/hush"))


async def test_a_connection_on_which_the_server_speaks_unasked_is_not_used_again() -> None:
    said = asyncio.Event()

    async def unasked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"first"))
        await released.wait()
        writer.write(ok(b"smuggled"))
        said.set()
        await asyncio.Event().wait()

    released = asyncio.Event()
    async with serving(raw=unasked) as server, serving() as other, client() as http:
        assert (await http.get(server.url())).body == b"first"
        released.set()
        await said.wait()
        await http.get(other.url())  # by now it has arrived
        assert (await http.get(server.url())).body == b"first"
    assert server.connections == 2


async def test_the_text_of_an_error_is_short_and_does_no_harm() -> None:
    answer = ok(b"x" * 2 * MIB, "Content-Encoding: br", status="500 Oops")
    async with serving(answer) as server, client() as http:
        response = await http.get(server.url())
    assert (response.status, response.body) == (500, b"x" * 4 * KIB)


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [for_ever, writing(b"HTTP/1.1 200 OK\r\n", then=drip)], ids=["silent", "dripping"])
async def test_an_answer_that_does_not_begin_is_given_up(slow: Handler) -> None:
    async with serving(raw=slow) as server, client(answer_timeout=100 * MS) as http:
        with pytest.raises(TimedOut, match=r"127\.0\.0\.1 did not answer in time"):
            await http.get(server.url())


async def test_a_body_that_does_not_end_is_given_up() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    async with serving(raw=writing(begun, then=drip)) as server:
        async with client(total_timeout=100 * MS) as http:
            with pytest.raises(TimedOut):
                await http.get(server.url())
        async with client() as http:
            with pytest.raises(TimedOut):
                await http.get(server.url(), timeout=100 * MS)
            with pytest.raises(TimedOut):
                await http.post(server.url(), body=b"", headers={}, timeout=100 * MS)


async def test_a_server_that_does_not_read_is_given_up() -> None:
    async with serving(raw=for_ever) as server, client(answer_timeout=100 * MS) as http:
        with pytest.raises(TimedOut):
            await http.post(server.url(), body=bytes(32 * MIB), headers={})


async def test_a_name_server_that_does_not_answer_is_given_up() -> None:
    async def never(host: str, port: int) -> list[IPv4Address | IPv6Address]:
        await asyncio.Event().wait()
        return []

    async with client(connect_timeout=50 * MS, resolve=never) as http:
        with pytest.raises(TimedOut, match=r"feeds\.example"):
            await http.get("http://feeds.example/")


async def test_a_delivery_counts_although_the_body_of_its_answer_never_ends() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    async with serving(raw=writing(begun, bytes(5 * KIB), then=for_ever)) as server, client() as http:
        assert (await http.post(server.url(), body=b"x", headers={}, read_body=False)).status == 200


async def test_a_client_goes_on_after_failures() -> None:
    async with serving(raw=for_ever) as silent, serving() as server, client(answer_timeout=200 * MS) as http:
        results = await asyncio.gather(*(http.get(silent.url()) for _ in range(150)), return_exceptions=True)
        assert {type(result) for result in results} == {TimedOut}
        assert (await http.get(server.url())).status == 200


# -- connecting -------------------------------------------------------------------------------


async def test_a_refused_connection_says_so() -> None:
    async with serving() as server:
        pass
    async with client() as http:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 refused the connection"):
            await http.get(server.url("/hush"))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "feeds.example.pem"
    path.write_text(CERTIFICATE)
    return path


async def test_tls_asks_for_the_name_and_not_the_address(certificate: Path) -> None:
    tls = server_tls(certificate)
    wanted: list[str | None] = []
    tls.sni_callback = lambda connection, name, context: wanted.append(name)
    names = Names(feeds_example=[["127.0.0.1"]])
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(ok(b"safe"), tls=tls) as server, client(resolve=names, tls=trusting) as http:
        url = f"https://feeds.example:{server.port}/"
        assert [(await http.get(url)).body for _ in range(2)] == [b"safe"] * 2
    assert (wanted, server.connections) == (["feeds.example"], 1)


async def test_a_certificate_that_is_not_valid_is_refused_with_the_reason(certificate: Path) -> None:
    names = Names(feeds_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(tls=server_tls(certificate)) as server:
        async with client(resolve=names) as http:
            with pytest.raises(Unreachable, match=r"certificate of feeds\.example is not valid here: self.signed"):
                await http.get(f"https://feeds.example:{server.port}/")
        async with client(resolve=names, tls=trusting) as http:
            with pytest.raises(Unreachable, match="certificate of other"):
                await http.get(f"https://other.example:{server.port}/")
        assert server.asked == []


async def test_https_to_a_server_of_plain_http_says_so() -> None:
    async with serving(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, client() as http:
        with pytest.raises(Unreachable, match="No secure connection"):
            await http.get(f"https://127.0.0.1:{server.port}/")


async def test_a_secret_sent_by_https_is_not_sent_on_by_http(certificate: Path) -> None:
    names = Names(feeds_example=[["127.0.0.1"]])
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        serving() as plain,
        serving(redirect(plain.url(), 307), tls=server_tls(certificate)) as server,
        client(resolve=names, tls=trusting) as http,
    ):
        with pytest.raises(BadAddress, match="from https to http"):
            await http.post(f"https://feeds.example:{server.port}/", body=b"hub.secret=x", headers={}, redirects=3)
        assert plain.connections == 0
