"""
A report as one HTML file: no script, no request, every text escaped.

The style's hash is all that the page's Content-Security-Policy allows. Light and dark are
the reader's choice; on paper it is light.
"""

import base64
import hashlib
from collections.abc import Sequence
from pkgutil import get_data

from pushctl.rules import colors, wording
from pushctl.rules.reports import svg
from pushctl.rules.reports.content import Report


def render(report: Report, *, refresh_seconds: int | None = None) -> str:
    """Return the page of *report*; *refresh_seconds*: the browser loads it again by itself."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    # What comes here as SVG is made by rules/reports/svg, which escapes its texts.
    environment.filters["svg"] = Markup
    environment.finalize = _clean
    style = write_style(report.color)

    def draw(values: Sequence[float | None]) -> Markup:
        return Markup(svg.draw_spark(values, mirrored=report.mirrored))  # noqa: S704 - numbers

    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = environment.from_string(_read("report.html"))
    return page.render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file, and colours that were parsed
        policy=f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; "
        "form-action 'none'",
        refresh=refresh_seconds,
        spark=draw,
    )


def write_style(color: str) -> str:
    """Return the page's style in the site's *color*, as far as it can be read."""
    style = _read("report.css")
    for name, background in (("LIGHT", colors.LIGHT), ("DARK", colors.DARK)):
        text = colors.adjust(color, background, colors.TEXT_CONTRAST)
        shape = colors.adjust(color, background, colors.SHAPE_CONTRAST)
        style = style.replace(f"{name}_TEXT", text).replace(f"{name}_SHAPE", shape)
        for level, shade in enumerate(colors.make_scale(color, background, svg.LEVELS)):
            style = style.replace(f"{name}_{level}", shade)
    return style


def _clean(value: object) -> object:
    """Return a text without control characters; other values as they are."""
    return wording.clean(value) if type(value) is str else value


def _read(name: str) -> str:
    return (get_data(__package__, name) or b"").decode()
