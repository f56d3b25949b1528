"""What ``pushctl check`` says of campaigns/, each mistake with its line, and of series."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.errors import Problem, PushctlError
from pushctl.jobs.campaigns import files, recurring
from pushctl.model import Millis
from pushctl.rules.campaign_files import find_phase
from pushctl.rules.wording import clean
from pushctl.store import Store


def count(config: Config) -> int:
    return len(files.list_names(config))


def find(config: Config, now: Millis) -> Iterator[Problem]:
    """Yield every mistake; what is over may use a template that is gone since."""
    with Store(config.database) as store:
        yield from _find_series(config, store)
        for name in files.list_names(config):
            file, problems = files.load(config, name)
            yield from problems
            if file is None or (file.at and find_phase(file, config.zone, now) == "over"):
                continue
            if problem := files.find_problem(config, store, file):
                yield problem


def _find_series(config: Config, store: Store) -> Iterator[Problem]:
    """Yield the series of `send --every` that no sweep could carry out any more."""
    for series in store.schedules.recurring.list_all():
        try:
            files.load_message(config, recurring.read_draft(series))
        except PushctlError as error:
            fault, _, remedy = str(error).partition(". ")
            name = clean(series.name)
            end = f"Bring it back, or run: pushctl schedules cancel {name!r}"
            yield Problem(f"series {name}", fault, remedy or end)
