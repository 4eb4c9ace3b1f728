"""Mirrors channels/email.py."""

import email
import email.policy
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.adapter import OutgoingMessage
from channels.channel import Channel
from channels.email import Mime, encoded, header, header_line, origin_of, static
from channels.skeleton import Face, Skeleton

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
PIECES = st.one_of(
    TEXT, st.sampled_from([".", "..\n.", "=", "=\n", " ", "\n", "a" * 200, "é" * 90])
)


def message(
    parts: dict[str, tuple[str, ...]], values: tuple[str, ...] = (), **changes: object
) -> bytes:
    skeleton = Skeleton(Channel.EMAIL, tuple(Face(name, texts) for name, texts in parts.items()))
    outgoing = OutgoingMessage(
        reference="ref", to="m@example.com", skeleton=skeleton, values=values, **changes
    )
    origin = origin_of("shop@example.com", None, None)
    date = b"Sat, 21 Nov 2026 12:00:00 +0000"
    return Mime.of(skeleton).message(origin, "example.com", date, outgoing)


def read(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


def bodies(raw: bytes) -> list[str]:
    """Return the decoded parts, line breaks as \\n."""
    return [
        part.get_payload(decode=True).decode().replace("\r\n", "\n")
        for part in read(raw).iter_parts()
    ]


def unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(parts=st.lists(PIECES, min_size=1, max_size=5), data=st.data())
def test_what_is_put_in_comes_out(parts: list[str], data: st.DataObject) -> None:
    values = tuple(data.draw(PIECES) for _ in parts[1:])
    whole = parts[0] + "".join(value + part for value, part in zip(values, parts[1:], strict=True))
    # A break that falls between two pieces is theirs alone.
    if "\r" in whole:
        return

    raw = message({"subject": ("x",), "text": tuple(parts), "html": ("<p>",)}, values)

    assert bodies(raw) == [whole, "<p>"]


@given(parts=st.lists(PIECES, min_size=1, max_size=5), data=st.data())
def test_no_line_is_too_long_or_begins_with_a_dot(parts: list[str], data: st.DataObject) -> None:
    values = tuple(data.draw(PIECES) for _ in parts[1:])

    raw = message({"subject": ("x",), "html": tuple(parts)}, values)

    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b".") for line in lines)
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert raw.isascii()


@given(value=PIECES)
@example("trailing space ")
@example("tab\t\nspace \n")
@example("a\rb\r\nc\n")
def test_a_value_stands_on_lines_of_its_own(value: str) -> None:
    data = encoded(value)
    assert not data or data.endswith(b"\n")
    assert unified(quopri.decodestring(data).decode()) == unified(value)


@given(parts=st.lists(PIECES, min_size=2, max_size=5))
def test_a_static_part_ends_where_a_line_does(parts: list[str]) -> None:
    pieces = static(parts)
    assert all(not piece or piece.endswith(b"\n") for piece in pieces[:-1])
    assert [unified(quopri.decodestring(piece).decode()) for piece in pieces] == [
        unified(part) for part in parts
    ]


def test_the_faces_are_joined_text_first_whatever_their_order() -> None:
    raw = message(
        {"subject": ("Hi ", ""), "html": ("<b>", "</b>"), "text": ("*", "*", "")},
        ("subject", "html", "text1", "text2"),
    )
    found = read(raw)
    assert found["Subject"] == "Hi subject"
    assert found.get_content_type() == "multipart/alternative"
    assert bodies(raw) == ["*text1*text2", "<b>html</b>"]


def test_values_that_do_not_fit_are_a_bug() -> None:
    with pytest.raises(ValueError, match="zip"):
        message({"subject": ("x",), "text": ("a", "b")}, ())


@given(text=TEXT)
@example("")
@example("=?utf-8?q?x?=")
@example("a" * 500)
@example("é" * 200)
@example("x\r\nBcc: b@example.com")
def test_a_subject_is_one_header_whatever_it_says(text: str) -> None:
    """B023."""
    raw = message({"subject": (text,), "text": ("x",)})
    found = read(raw)

    assert found.keys() == [
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
    ]  # fmt: skip
    lines = header(text).split(b"\r\n")
    assert all(line.startswith(b" ") for line in lines[1:])
    assert all(len(line) <= 76 for line in lines)


@pytest.mark.parametrize(
    "text", ["Hello", "50 % off", "Grüße aus Köln", "🎁" * 40, "a b " * 40, "=?odd?= one"]
)
def test_a_subject_reads_as_it_was_written(text: str) -> None:
    assert read(message({"subject": (text,), "text": ("x",)}))["Subject"] == text.strip()


@pytest.mark.parametrize("evil", ["a\r\nBcc: b@example.com", "a\nb", "a\r\n\r\nbody", "a\x85b"])
def test_no_value_of_a_header_can_begin_another(evil: str) -> None:
    """B023."""
    line = header_line("List-Unsubscribe", evil)
    assert line.endswith(b"\r\n")
    folded = line[:-2].split(b"\r\n")
    assert all(part.startswith(b" ") for part in folded[1:])
    assert b"\n" not in line[:-2].replace(b"\r\n ", b"")


@pytest.mark.parametrize("name", ["", "a b", "X:", "X\r\nY", "é"])
def test_a_header_needs_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        header_line(name, "x")


@pytest.mark.parametrize("name", ["Shop", "O'Neil & Co., Ltd.", "Käse <x>", 'a"b', "a\r\nBcc: x"])
def test_a_senders_name_is_only_a_name(name: str) -> None:
    raw = message({"subject": ("x",), "text": ("x",)})
    lines = origin_of("shop@example.com", name, "desk@example.com") + raw.split(b"\r\n", 1)[1]
    found = read(lines)
    [sender] = found["From"].addresses
    assert sender.addr_spec == "shop@example.com"
    assert sender.display_name == " ".join(name.split())
    assert found["Bcc"] is None


def test_static_parts_are_encoded_once() -> None:
    skeleton = Skeleton(Channel.EMAIL, (Face("subject", ("x",)), Face("text", ("y",))))
    assert Mime.of(skeleton) is Mime.of(skeleton)
