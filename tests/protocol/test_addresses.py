from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifestream.protocol.addresses import MAX_URL, Networks, check_url, is_public, with_scheme

SPECIAL = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.8 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:7f00:1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
2001::1 2001:0:53aa:64c::1 2001:2::1 2001:10::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 3fff:fff::1 5f00::1
fc00::1 fd12:3456::1 fe80::1 fe80::1%2 fec0::1 ff02::1 4000::1
""".split()
PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.1.1.1 128.0.0.1 172.15.1.1 172.32.0.1 192.0.1.1
192.169.0.1 198.17.1.1 198.20.0.1 223.255.255.255 ::ffff:8.8.8.8 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1
2a00:1450:4001::1 3ffe::1
""".split()


@pytest.mark.parametrize("address", SPECIAL)
def test_special_space_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_rest_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_networks_are_read_from_a_list() -> None:
    networks = Networks.parse("127.0.0.0/8, ::1,192.168.1.7/24 , Gitea.LAN,,[fd00::5]")
    assert [str(network) for network in networks.networks] == [
        "127.0.0.0/8",
        "::1/128",
        "192.168.1.0/24",
        "fd00::5/128",
    ]
    assert networks.hosts == {"gitea.lan"}
    assert Networks.parse("") == Networks()


@pytest.mark.parametrize("piece", ["10.0.0.0/33", "300.1.2.3", "gitea.lan:3000", "http://gitea.lan", "*.lan", "a b"])
def test_a_piece_that_is_no_network_is_named(piece: str) -> None:
    with pytest.raises(ValueError, match="is no network") as error:
        Networks.parse(f"127.0.0.1, {piece}")
    assert repr(piece) in str(error.value)


def test_networks_allow_by_address_or_by_the_name_that_was_asked() -> None:
    networks = Networks.parse("127.0.0.0/8,gitea.lan")
    assert networks.allows(ip_address("127.9.9.9"), "")
    assert networks.allows(ip_address("::ffff:127.0.0.1"), "")
    assert networks.allows(ip_address("192.168.1.5"), "gitea.lan")
    assert not networks.allows(ip_address("192.168.1.5"), "evil.example")
    assert not networks.allows(ip_address("::1"), "")
    assert not networks.allows(ip_address("0.0.0.0"), "0")
    assert not Networks().allows(ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        (" https://example.com:443/a?b=c#d \n", "https://example.com/a?b=c"),
        (
            "http://example.com:8080/%7Ea/%e2%82%ac?x=a%20b&y={z}",
            "http://example.com:8080/%7Ea/%e2%82%ac?x=a%20b&y={z}",
        ),
        ("http://example.com?", "http://example.com/?"),
        ("http://example.com./", "http://example.com/"),
        ("http://example.com/a b/€", "http://example.com/a%20b/%E2%82%AC"),
        ("http://Bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://faß.example/", "http://xn--fa-hia.example/"),
        ("http://127\u30020\uff0e0\uff611/", "http://127.0.0.1/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
        ("http://[2001:DB8:0::1]:81/", "http://[2001:db8::1]:81/"),
        ("http://my_host/", "http://my_host/"),
    ],
)
def test_a_url_is_written_in_one_way(url: str, checked: str) -> None:
    assert check_url(url) == checked


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "http://"),
        ("example.com/feed", "http://"),
        ("//example.com/", "http://"),
        ("ftp://example.com/", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "http://"),
        ("javascript:alert(1)", "http://"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("http:\\\\127.0.0.1\\", "no host"),
        ("http://:80/", "no host"),
        ("http://me:secret@example.com/", "user name"),
        ("http://example.com\\@127.0.0.1/", "user name"),
        ("http://example.com\\.evil.example/", "cannot be a name"),
        ("http://exa mple.com/", "cannot be a name"),
        ("http://127.0.0.%31/", "cannot be a name"),
        ("http://a..b/", "cannot be a name"),
        ("http://" + "a" * 64 + ".example/", "cannot be a name"),
        ("http://" + "a." * 127 + "example/", "cannot be a name"),
        ("http://" + "\ufdfa" * 200 + "/", "cannot be a name"),
        ("http://example.com:22/", "Port 22"),
        ("http://example.com:0/", "Port 0"),
        ("https://example.com:6667/", "Port 6667"),
        ("http://example.com:99999/", "malformed"),
        ("http://example.com:80:80/", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://[fe80::1%25eth0]/", "no IPv6"),
        ("http://a/\r\nX: y", "control characters"),
        ("http://a\t/", "control characters"),
        ("http://a/\ud800", "control characters"),
        ("http://a/" + "x" * MAX_URL, "characters; this one has"),
        ("http://a/" + "€" * 3000, "in ASCII"),
    ],
)
def test_a_url_that_we_do_not_ask_is_refused_with_a_sentence(url: str, why: str) -> None:
    with pytest.raises(ValueError) as error:
        check_url(url)
    assert why in str(error.value)
    assert str(error.value).endswith(".")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("blog.example/feed", "https://blog.example/feed"),
        ("gitea:3000/ana", "https://gitea:3000/ana"),
        ("data:9000", "https://data:9000"),
        ("localhost:8000", "https://localhost:8000"),
        (" http://blog.example/ ", "http://blog.example/"),
    ],
)
def test_what_is_typed_without_a_scheme_means_https(typed: str, meant: str) -> None:
    assert with_scheme(typed) == meant


@pytest.mark.parametrize(
    "typed", ["javascript:1", "JavaScript:alert(1)", "mailto:25", "data:text/html,x", "about:1", "ftp://blog.example/"]
)
def test_another_scheme_is_refused_for_what_it_is(typed: str) -> None:
    with pytest.raises(ValueError, match="must start with http:// or https://"):
        check_url(with_scheme(typed))


urlish = st.text(max_size=60) | st.builds(
    lambda scheme, rest: scheme + rest,
    st.sampled_from(["http://", "https://", "http:", "http://[", "HTTP://a@"]),
    st.text(alphabet=st.sampled_from("ab.:/?#[]@%\\0123456789ﬀ℀。．ßİ\u200d\ufdfa-_ ") | st.characters(), max_size=40),
)


@given(urlish)
@example("http://a:\u0661/")
@example("http://[v1.x]/")
@example("http://[::ffff:1.2.3.4]/")
def test_check_url_gives_ascii_that_it_leaves_alone_or_raises_value_error(url: str) -> None:
    try:
        checked = check_url(url)
    except ValueError as error:
        assert type(error) is ValueError
    else:
        assert checked.isascii()
        assert check_url(checked) == checked


@given(st.text(max_size=40))
def test_networks_parse_or_raise_value_error(text: str) -> None:
    try:
        Networks.parse(text)
    except ValueError as error:
        assert type(error) is ValueError
