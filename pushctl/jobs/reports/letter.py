"""
A report as an e-mail: one MIME file with its charts as pictures inside, nothing to load.

Mail programs know little of CSS, so this has tables, styles beside the texts, and a plain
text of the same. Where pictures would make it too large the largest are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from html import escape as escape_html

from pushctl.errors import InputError
from pushctl.rules import colors, wording
from pushctl.rules.limits import MAX_REPORT_LETTER_BYTES
from pushctl.rules.reports import svg
from pushctl.rules.reports.content import Report, Section, Table
from pushctl.rules.reports.words import Words

_PICTURE_WIDTHS = (960, 640)  # pixels of 640: sharp, or where that is too much, plain
_INK, _DIM, _RULE, _LOSS = "#1c1f23", "#5b636d", "#dfe3e8", "#b3261e"
_FONTS = "'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif"
NEEDED = "pictures of charts need another package: pip install 'pushctl[png]'"


@dataclass(frozen=True, slots=True)
class Letter:
    """*content* is the whole file; *left_out* are titles of charts that had no room."""

    content: bytes
    left_out: Sequence[str]


def write_letter(
    report: Report, *, sender: str = "", receiver: str = "", pictures: bool = True
) -> Letter:
    """
    Return *report* as a MIME file below MAX_REPORT_LETTER_BYTES.

    Without *sender* mail programs open it as a draft. Raises InputError where *pictures*
    are wanted and can't be drawn, or where the texts alone are too large.
    """
    drawn: dict[str, list[bytes]] = {}
    for width in _PICTURE_WIDTHS if pictures else ():
        drawn = _draw_pictures(report, width)
        if len(_assemble(report, drawn, sender, receiver)) <= MAX_REPORT_LETTER_BYTES:
            break
    titles = {section.slug: section.title for section in report.sections}
    dropped: set[str] = set()
    while True:
        content = _assemble(report, drawn, sender, receiver)
        if len(content) <= MAX_REPORT_LETTER_BYTES:
            return Letter(content, [titles[slug] for slug in titles if slug in dropped])
        if not drawn:
            raise InputError(
                f"the e-mail has {len(content):,} bytes without pictures, more than "
                f"{MAX_REPORT_LETTER_BYTES:,}. Choose a shorter time, or one site."
            )
        # The largest: what has most names is mostly a table, too. Of equal ones the last.
        largest = max(reversed(drawn), key=lambda slug: sum(map(len, drawn[slug])))
        dropped.add(largest)
        del drawn[largest]


def can_draw() -> bool:
    """Return whether the package that draws pictures is there."""
    from importlib.util import find_spec

    return find_spec("resvg_py") is not None


def _draw_pictures(report: Report, width: int) -> dict[str, list[bytes]]:
    """Return the PNGs of each section that has charts, by its slug."""
    try:
        import resvg_py
    except ImportError as error:
        raise InputError(NEEDED) from error
    style = f"<style>{_write_style(report.color)}</style>"
    return {
        section.slug: [
            bytes(
                resvg_py.svg_to_bytes(
                    svg_string=chart.replace("<title>", f"{style}<title>", 1),
                    width=width,
                    background="#ffffff",
                )
            )
            for chart in section.charts
        ]
        for section in report.sections
        if section.charts
    }


def _write_style(color: str) -> str:
    """Return the charts' style with its colours written out, for light."""
    shape = colors.adjust(color, colors.LIGHT, colors.SHAPE_CONTRAST)
    scale = colors.make_scale(color, colors.LIGHT, svg.LEVELS)
    levels = "".join(f".h{level}{{fill:{shade}}}" for level, shade in enumerate(scale))
    return (
        f"text{{font-family:'Noto Sans','DejaVu Sans',sans-serif;font-size:12.5px;fill:{_INK}}}"
        f"text.dim{{fill:{_DIM};font-size:11.5px}}text.value{{font-weight:600}}"
        f".bar{{fill:{shape}}}.loss{{fill:{_LOSS}}}"
        f".other{{fill:none;stroke:{shape};stroke-width:1.2;stroke-dasharray:3 2}}"
        f".line{{fill:none;stroke:{shape};stroke-width:2}}.grid{{stroke:{_RULE}}}"
        f".zero,.mark{{stroke:#7a828c}}.whisker{{stroke:{shape};stroke-width:2;opacity:.55}}"
        f".unknown{{fill:none;stroke:{_RULE}}}{levels}"
    )


def _assemble(
    report: Report, pictures: dict[str, list[bytes]], sender: str, receiver: str
) -> bytes:
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = wording.clean(f"{report.title} · {report.subtitle}")
    if sender:
        letter["From"] = sender
    if receiver:
        letter["To"] = receiver
    if not sender:
        letter["X-Unsent"] = "1"  # mail programs open it as a draft
    letter.set_content(_write_text(report), cte="base64")
    names = {
        slug: [f"{slug}-{number}@report" for number in range(len(drawn))]
        for slug, drawn in pictures.items()
    }
    letter.add_alternative(_write_html(report, names), subtype="html", cte="base64")
    page = letter.get_payload()[1]  # type: ignore[index]
    assert isinstance(page, EmailMessage)
    for slug, drawn in pictures.items():
        for name, picture in zip(names[slug], drawn, strict=True):
            page.add_related(
                picture,
                "image",
                "png",
                cid=f"<{name}>",
                disposition="inline",
                filename=f"{name.partition('@')[0]}.png",
            )
    return bytes(letter)


def _write_text(report: Report) -> str:
    """Return the report as plain lines."""
    lines, words = [report.title, report.subtitle, ""], Words(report.language)
    for card in report.cards:
        detail = words.join(filter(None, (card.detail, card.before)))
        lines.append(f"{card.label}: {card.value}" + (f" ({detail})" if detail else ""))
    for section in report.sections:
        lines += ["", section.title, "-" * len(section.title)]
        lines += [section.empty] if section.empty else []
        for table in section.tables:
            lines += [table.caption] if table.caption else []
            for row in table.rows:
                cells = zip(table.headings, row, strict=True)
                lines.append("; ".join(f"{heading}: {cell}" for heading, cell in cells))
        lines += section.notes
    lines += ["", *report.notes, report.made]
    return "".join(f"{wording.clean(line)}\n" for line in lines)


def _write_html(report: Report, pictures: dict[str, list[str]]) -> str:
    accent = colors.adjust(report.color, colors.LIGHT, colors.TEXT_CONTRAST)
    side = "right" if report.mirrored else "left"
    body = [
        f'<h1 style="font-size:24px;line-height:30px;margin:0 0 4px">{_text(report.title)}</h1>'
        f'<p style="margin:0 0 20px;color:{_DIM}">{_text(report.subtitle)}</p>',
        *_write_cards(report, side),
    ]
    for section in report.sections:
        body.append(_write_section(section, pictures.get(section.slug, []), side))
    notes = "".join(f"<p>{_text(note)}</p>" for note in (*report.notes, report.made))
    direction = "rtl" if report.mirrored else "ltr"
    return (
        f'<!DOCTYPE html><html lang="{_text(report.language)}" dir="{direction}"><head>'
        f'<meta charset="utf-8"><title>{_text(report.title)}</title></head>'
        f'<body style="margin:0;background:#ffffff;color:{_INK};font:15px/22px {_FONTS}">'
        f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr>'
        f'<td align="center"><table role="presentation" width="640" cellpadding="0" '
        f'cellspacing="0" style="max-width:640px;width:100%"><tr><td align="{side}" '
        f'style="border-top:5px solid {accent};padding:22px 16px">{"".join(body)}'
        f'<div style="border-top:1px solid {_RULE};color:{_DIM};font-size:13px">{notes}</div>'
        f"</td></tr></table></td></tr></table></body></html>"
    )


def _write_cards(report: Report, side: str) -> list[str]:
    """Return the cards in rows of two."""
    rows = []
    for first in range(0, len(report.cards), 2):
        cells = "".join(
            f'<td width="50%" valign="top" align="{side}" style="padding:0 0 16px">'
            f'<span style="color:{_DIM};font-size:13px">{_text(card.label)}</span><br>'
            f'<b style="font-size:24px;line-height:30px">{_text(card.value)}</b><br>'
            f'<span style="color:{_DIM};font-size:13px">'
            f"{'<br>'.join(_text(it) for it in (card.detail, card.before) if it)}</span></td>"
            for card in report.cards[first : first + 2]
        )
        rows.append(f"<tr>{cells}</tr>")
    return [f'<table role="presentation" width="100%">{"".join(rows)}</table>'] if rows else []


def _write_section(section: Section, pictures: Sequence[str], side: str) -> str:
    parts = [
        f'<h2 style="font-size:18px;line-height:24px;margin:20px 0 6px">'
        f"{_text(section.title)}</h2>"
    ]
    if section.empty:
        parts.append(f'<p style="color:{_DIM};margin:0">{_text(section.empty)}</p>')
    parts += [
        f'<img src="cid:{name}" width="608" alt="{_text(section.title)}" '
        f'style="width:100%;max-width:608px;height:auto;border:0">'
        for name in pictures
    ]
    parts += [_write_table(table, side) for table in section.tables]
    parts += [
        f'<p style="color:{_DIM};font-size:13px;margin:4px 0">{_text(note)}</p>'
        for note in section.notes
    ]
    return "".join(parts)


def _write_table(table: Table, side: str) -> str:
    other = "left" if side == "right" else "right"

    def place(column: int) -> str:
        return other if column in table.figures else side

    def keep(column: int) -> str:
        """Return what keeps "5.0% (4.3%–5.8%)" in one line, and in its order."""
        whole = column in table.figures and column < len(table.headings) - 1
        return ' dir="ltr" nowrap' if whole else ""

    style = f"padding:5px 6px;border-bottom:1px solid {_RULE}"
    head = "".join(
        f'<th align="{place(number)}" style="{style};color:{_DIM}">{_text(heading)}</th>'
        for number, heading in enumerate(table.headings)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td align="{place(number)}" valign="top"{keep(number)} style="{style}">'
            f"{_text(cell)}</td>"
            for number, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    caption = (
        f'<p style="margin:10px 0 0"><b>{_text(table.caption)}</b></p>' if table.caption else ""
    )
    return (
        f'{caption}<table width="100%" cellpadding="0" cellspacing="0" '
        f'style="border-collapse:collapse;font-size:13px"><tr>{head}</tr>{rows}</table>'
    )


def _text(text: str) -> str:
    return escape_html(wording.clean(text))
