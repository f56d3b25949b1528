"""What ``pushctl check`` says of segments: each that can't be read, with its line."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.errors import Problem, PushctlError
from pushctl.rules.config.structure import line_of


def find(config: Config) -> Iterator[Problem]:
    from pushctl.rules.audience import parse

    file = config.file.read_text("utf-8-sig")
    for name, text in config.segments.items():
        try:
            parse.expand(parse.parse(text), config.segments)
        except PushctlError as error:
            line = line_of(("segments", name), file)
            place = f"{config.file.name}:{line}: segments.{name}"
            yield Problem(place, str(error), "See docs/audience.md.")
