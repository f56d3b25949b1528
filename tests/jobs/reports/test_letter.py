"""A report as an e-mail: one file below its bound, read back as mail programs read it."""

import email
import email.policy
import struct
from dataclasses import replace
from email.message import EmailMessage

import pytest

from pushctl.errors import InputError
from pushctl.jobs.reports import letter
from pushctl.rules.limits import MAX_REPORT_LETTER_BYTES
from pushctl.rules.reports import svg
from pushctl.rules.reports.content import Section, Table
from tests.jobs.reports.test_page import HOSTILE, Reader, make_report


def read(content: bytes) -> tuple[EmailMessage, str, str, list[EmailMessage]]:
    """Return the message, its HTML, its plain text and its pictures."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    page, plain = message.get_body(["html"]), message.get_body(["plain"])
    assert page is not None and plain is not None
    parts = [it for it in message.walk() if it.get_content_type() == "image/png"]
    return message, page.get_content(), plain.get_content(), parts


def test_pictures_are_inside_and_named_by_the_page() -> None:
    made = letter.write_letter(make_report())
    message, page, plain, pictures = read(made.content)
    assert made.left_out == [] and message["X-Unsent"] == "1"
    assert [it["Content-ID"] for it in pictures] == ["<sent-0@report>"]
    assert Reader(page).links.count("cid:sent-0@report") == 1
    picture = pictures[0].get_content()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">I", picture[16:20]) == (960,)
    assert "Sale: Sale (Sale، Sale)" in plain
    # Nothing is loaded from elsewhere.
    assert "http" not in page and "script" not in Reader(page).tags


def test_whom_it_goes_to_makes_it_no_draft() -> None:
    made = letter.write_letter(
        make_report(), sender="a@shop.example", receiver="b@shop.example"
    )
    message, *_ = read(made.content)
    assert (message["From"], message["To"]) == ("a@shop.example", "b@shop.example")
    assert message["X-Unsent"] is None


def test_texts_of_others_stay_texts_and_never_make_a_header() -> None:
    report = make_report(HOSTILE + "\r\nBcc: everybody@example.com")
    message, page, plain, _ = read(letter.write_letter(report).content)
    assert message["Bcc"] is None
    assert Reader(page).tags.count("script") == 0
    assert "\x1b" not in page + plain and "\u202e" not in page + plain


def test_pictures_without_room_are_left_out_from_the_end() -> None:
    points: list[svg.Point] = [(f"{number}", float(number % 17)) for number in range(300)]
    chart = svg.draw_line(svg.Frame("", ""), points, str)
    sections = [Section(f"s{number}", f"Part {number}", charts=[chart]) for number in range(9)]
    made = letter.write_letter(replace(make_report(), sections=sections))
    _, page, _, pictures = read(made.content)
    assert len(made.content) <= MAX_REPORT_LETTER_BYTES
    assert 0 < len(pictures) < 9 and len(pictures) + len(made.left_out) == 9
    assert made.left_out == [f"Part {number}" for number in range(len(pictures), 9)]
    assert "Part 8" in page  # its title stays


def test_a_report_that_is_too_long_says_what_to_do() -> None:
    table = Table(["a"], [[f"row {number}" * 9] for number in range(2000)])
    report = replace(make_report(), sections=[Section("s", "Part", tables=[table])])
    with pytest.raises(InputError, match="Choose a shorter time, or one site"):
        letter.write_letter(report)


def test_without_the_extra_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    with pytest.raises(InputError, match=r"pip install 'pushctl\[png\]'"):
        letter.write_letter(make_report())
    assert b"image/png" not in letter.write_letter(make_report(), pictures=False).content
