"""Colours of a page that can be read: WCAG 2.2, for light and for dark."""

TEXT_CONTRAST = 4.5
SHAPE_CONTRAST = 3.0  # of what is no text: bars, lines
MIDDLE_LUMINANCE = 0.18  # above it black can be read better than white
LIGHT, DARK = "#ffffff", "#15181c"  # the pages' backgrounds

Color = tuple[float, float, float]  # red, green, blue: 0 to 1


def parse_color(text: str) -> Color:
    """Return "#abc" or "#aabbcc" as a colour; ValueError for what is neither."""
    digits = text.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    if len(digits) != 6:
        raise ValueError(f"{text!r} is no colour such as #b04a26")
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def write_color(color: Color) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in color)


def measure_contrast(one: Color, other: Color) -> float:
    """Return the contrast of two colours, 1 to 21."""
    high, low = sorted((measure_luminance(one), measure_luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def measure_luminance(color: Color) -> float:
    """Return how bright a colour is, 0 to 1."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def adjust(text: str, background: str, contrast: float) -> str:
    """
    Return the colour *text*, moved towards black or white until it has *contrast*.

    It moves away from *background*, in steps of a twentieth, and keeps its hue.
    """
    color, behind = parse_color(text), parse_color(background)
    goal = 0.0 if measure_luminance(behind) > MIDDLE_LUMINANCE else 1.0
    for step in range(21):
        moved = mix(color, (goal, goal, goal), step / 20)
        if measure_contrast(moved, behind) >= contrast:
            return write_color(moved)
    return write_color((goal, goal, goal))


def mix(one: Color, other: Color, share: float) -> Color:
    """Return *one* with *share* of *other*."""
    red, green, blue = (
        own * (1 - share) + more * share for own, more in zip(one, other, strict=True)
    )
    return red, green, blue


def make_scale(text: str, background: str, steps: int) -> list[str]:
    """Return *steps* shades from near *background* to the colour *text* as it can be seen."""
    strong = parse_color(adjust(text, background, TEXT_CONTRAST))
    behind = parse_color(background)
    return [
        write_color(mix(behind, strong, 0.12 + 0.88 * step / (steps - 1)))
        for step in range(steps)
    ]
