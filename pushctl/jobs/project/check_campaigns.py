"""What ``pushctl check`` says of campaigns/: every mistake, with its file and line."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.errors import Problem
from pushctl.jobs.campaigns import files
from pushctl.model import Millis
from pushctl.rules.campaign_files import find_phase
from pushctl.store import Store


def count(config: Config) -> int:
    return len(files.list_names(config))


def find(config: Config, now: Millis) -> Iterator[Problem]:
    """Yield every mistake; what is over may use a template that is gone since."""
    if not (names := files.list_names(config)):
        return
    with Store(config.database) as store:
        for name in names:
            file, problems = files.load(config, name)
            yield from problems
            if file is None or (file.at and find_phase(file, config.zone, now) == "over"):
                continue
            if problem := files.find_problem(config, store, file):
                yield problem
