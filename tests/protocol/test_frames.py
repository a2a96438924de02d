"""WebSocket frames: what is written is what the websockets library reads, and the other way round."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from lifestream.protocol import frames


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_what_is_written_is_what_another_library_would_write(size: int) -> None:
    payload = b"x" * size
    assert frames.text(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_control_frames_are_what_another_library_would_write() -> None:
    assert frames.ping() == Frame(Opcode.PING, b"").serialize(mask=False)
    assert frames.pong(b"abc") == Frame(Opcode.PONG, b"abc").serialize(mask=False)
    assert frames.close(1012, "Restarting") == Frame(Opcode.CLOSE, b"\x03\xf4Restarting").serialize(mask=False)
    assert frames.close_back(b"\x03\xe8bye") == Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)
    assert frames.close_back(b"\x03") == Frame(Opcode.CLOSE, b"").serialize(mask=False)


SAID = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0x1, 0x2]), st.binary(max_size=frames.LARGEST_IN)),
        st.tuples(st.sampled_from([frames.PING, frames.PONG, frames.CLOSE]), st.binary(max_size=125)),
    ),
    max_size=6,
)


@given(SAID, st.integers(min_value=1, max_value=300))
def test_control_frames_are_found_however_the_bytes_are_cut(said: list[tuple[int, bytes]], step: int) -> None:
    data = b"".join(masked(opcode, payload) for opcode, payload in said)
    found, rest = [], b""
    for at in range(0, len(data), step):
        some, rest = frames.read(rest + data[at : at + step])
        found += some
    assert rest == b""
    assert found == [(opcode, payload) for opcode, payload in said if opcode > 2]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.PING, b"x").serialize(mask=False), 1002),
        (b"\xc9\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x09\x80\0\0\0\0", 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002),
        (masked(0x1, b"x" * (frames.LARGEST_IN + 1)), 1009),
        (b"\x82\xff" + b"\xff" * 8, 1009),
    ],
    ids=["unmasked", "reserved bit", "unknown opcode", "fragmented ping", "long ping", "long text", "huge"],
)
def test_what_is_no_frame_of_a_client_is_refused(data: bytes, code: int) -> None:
    with pytest.raises(frames.BadFrame) as error:
        frames.read(data)
    assert error.value.code == code


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_worse_than_be_refused(data: bytes) -> None:
    try:
        frames.read(data)
    except frames.BadFrame:
        pass


def test_very_many_tiny_frames_cost_no_more_than_their_bytes() -> None:
    data = masked(0x1, b"") * 40_000
    began = time.process_time()
    assert frames.read(data) == ([], b"")
    assert time.process_time() - began < 0.5
