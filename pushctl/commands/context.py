"""The context of a command: config, store and time."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pushctl.errors import ConfigError, DamagedError, UsageError

if TYPE_CHECKING:
    from pushctl.commands.run_recording import Recording
    from pushctl.config import Config
    from pushctl.states import Millis
    from pushctl.store import Store


@dataclass
class Context:
    """One run of the program. Config and store are opened at first use."""

    project: Path  # the folder of pushctl.toml, or one below it
    verbose: bool = False
    debug: bool = False
    recording: "Recording | None" = None  # of a command that the run history has
    cluster: str | None = None  # in place of cluster.scheduler

    @cached_property
    def config(self) -> "Config":
        """Raises ConfigError with every problem of pushctl.toml."""
        from pushctl import config

        loaded = config.load(config.find(self.project), self.environment)
        if self.verbose or loaded.log.file is not None:
            from pushctl import log, output

            trouble = log.start(loaded.log.file, loaded.log.format, verbose=self.verbose)
            if trouble is not None:
                output.warn(trouble)
        return loaded

    @property
    def environment(self) -> dict[str, str]:
        """The variables that settings are read from; an option stands above its variable."""
        given = {} if self.cluster is None else {"PUSHCTL_CLUSTER__SCHEDULER": self.cluster}
        return {**os.environ, **given}

    def use_cluster(self, address: str | None) -> None:
        """Send by the cluster at *address*, if one is given; raises UsageError."""
        if address is None:
            return
        from pushctl.rules.config import cluster

        if fault := cluster.scheduler(address):
            raise UsageError(f"--cluster {fault[0]}. {fault[1]}")
        self.cluster = address
        self.__dict__.pop("config", None)

    @cached_property
    def store(self) -> "Store":
        store = self._open_store()
        if self.recording is not None:
            self.recording.begin(store)
        return store

    def _open_store(self) -> "Store":
        """Open the database; without reading all settings, where a sweep has checked them."""
        from pushctl.store import Store

        if "config" not in self.__dict__ and not self.verbose and self.cluster is None:
            from pushctl.commands import unchecked_config
            from pushctl.store.idle import UncheckedError

            with suppress(UncheckedError, ConfigError):
                if (found := unchecked_config.find_database(self.project)) is not None:
                    return Store(found[0], settings=found[1])
        return Store(self.config.database)

    @cached_property
    def now(self) -> "Millis":
        """
        The time of this run, read once.

        PUSHCTL_NOW (ISO 8601 with its offset) sets it, for tests and dry runs.
        """
        given = os.environ.get("PUSHCTL_NOW")
        if not given:
            return time.time_ns() // 1_000_000
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise UsageError(
                f"PUSHCTL_NOW is {given!r}, not a time like 2026-04-28T10:00:00+02:00"
            )
        return int(moment.timestamp() * 1000)

    def later(self) -> "Millis":
        """Return the time now: the answer to a question may have taken hours."""
        return self.now if self.rehearsed else time.time_ns() // 1_000_000

    @property
    def rehearsed(self) -> bool:
        """Whether PUSHCTL_NOW sets the time."""
        return bool(os.environ.get("PUSHCTL_NOW"))

    def find_damage(self) -> "DamagedError | None":
        """Look for damage of the database that may be behind an odd error."""
        return self.store.soundness.find_first() if "store" in self.__dict__ else None

    def close(self) -> None:
        """Close the store; raises DamagedError for damage that was found in it meanwhile."""
        if "store" not in self.__dict__:
            return
        self.store.close()
        # A sweep goes on beside what fails: its end must not look well.
        if self.store.damage is not None:
            raise self.store.damage


def of(ctx: typer.Context, cluster: str | None = None) -> Context:
    """Return the context of a command; *cluster* is its option --cluster."""
    context = ctx.obj
    if not isinstance(context, Context):
        raise TypeError("the command was started without pushctl's root command")
    context.use_cluster(cluster)
    return context
