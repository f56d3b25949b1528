"""Whether what sweeps write for Prometheus is written: for `check`."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.jobs.sweep import metrics
from pushctl.model import Millis
from pushctl.rules import timing, units


def find_notes(config: Config, last: Millis | None) -> Iterator[tuple[str, str, str]]:
    """Yield place, text and remedy of files that sweeps did not write; *last* ended then."""
    if last is None:
        return
    for file in metrics.list_files(config):
        try:
            behind = last - file.stat().st_mtime_ns // 1_000_000
            behind -= behind % units.SECOND
        except OSError:
            yield str(file), "no sweep has written it", _describe_remedy(config)
            continue
        if behind > metrics.LATE:
            text = f"is {timing.say(behind)} older than the last sweep"
            yield str(file), text, _describe_remedy(config)


def _describe_remedy(config: Config) -> str:
    why = "the log says why" if config.log.file else "[log] in pushctl.toml would say why"
    return f"Let pushctl's user write in that folder; {why}."
