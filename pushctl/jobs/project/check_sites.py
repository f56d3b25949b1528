"""Looks for people of sites that pushctl.toml does not have, or has under another name."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.jobs.ingest import former_names
from pushctl.jobs.project.check_notes import Finding, Level
from pushctl.rules.wording import counted
from pushctl.store import Store


def find(config: Config, store: Store) -> Iterator[Finding]:
    former = former_names.find(store, config)
    for name, lost in store.soundness.count_lost_sites(config.sites).items():
        people = f"{counted(lost, 'active subscriber')} of the site {name!r}"
        if name in former:
            text = (
                f"{people}, which is called {former[name].name!r} now: its origin is the same"
            )
            remedy = (
                "They get its messages. Audiences and segments that name the site miss them: "
                f"write `site in ({name!r}, {former[name].name!r})`, or call it "
                f"[sites.{name}] as before."
            )
        else:
            text = f"{people}, which is not there"
            remedy = f"Nobody of it gets a message. Renamed? Call it [sites.{name}] as before."
        yield Finding("database", Level.NOTE, config.file.name, text, remedy)
