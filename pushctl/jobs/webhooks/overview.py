"""How webhooks do: for `webhooks list` and `check`."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pushctl.config import Config
from pushctl.errors import Problem
from pushctl.jobs.webhooks import programs
from pushctl.model import Json, Millis
from pushctl.rules import wording
from pushctl.rules.config.structure import line_of
from pushctl.rules.units import DAY
from pushctl.rules.wording import counted
from pushctl.store import Store


def list_webhooks(config: Config, store: Store) -> Iterator[dict[str, Json]]:
    """Yield a row for each webhook of the file: name, host, state, counts, times."""
    states, counts = store.webhooks.load_states(), store.webhooks.count_states()
    for hook in config.webhooks:
        known = states.get(hook.name)
        yield {
            "name": hook.name,
            "host": urlsplit(hook.url).hostname,
            "events": ", ".join(hook.events) or "for steps of triggers",
            "site": hook.site,
            "state": "fails" if known and known.failures else "on",
            **{
                state: counts.get((hook.name, state), 0)
                for state in ("waiting", "delivered", "dead")
            },
            "delivered_at": known.delivered_at if known else None,
            "reason": known.reason if known else None,
        }


def find_body_faults(config: Config) -> Iterator[Problem]:
    """Yield the bodies that can't be rendered."""
    from pushctl.templates import sandbox

    text = config.file.read_text("utf-8-sig")
    for number, hook in enumerate(config.webhooks, 1):
        try:
            if hook.body is not None:
                sandbox.Renderer([sandbox.parse("body", hook.body)])
        except sandbox.Refused as error:
            line = line_of(("webhooks", str(number), "body"), text)
            place = f"{config.file.name}:{line}: webhooks.{hook.name}.body"
            yield Problem(place, error.fault, "See docs/webhooks.md.")


def find_program_faults(config: Config) -> Iterator[Problem]:
    """Yield programs that are not run: missing, or others may change them."""
    text = config.file.read_text("utf-8-sig")
    for trigger in config.triggers.values():
        for number, step in enumerate(trigger.steps, 1):
            fault = programs.find_fault(config.folder, step.exec[0]) if step.exec else None
            if fault:
                path = ("triggers", trigger.name, "steps", str(number))
                place = f"{config.file.name}:{line_of(path, text)}: {'.'.join(path)}.exec"
                remedy = "It is not run; see docs/triggers.md."
                yield Problem(place, f"{step.exec[0]} {fault}", remedy)
    yield from _find_alert_faults(config, text)


def _find_alert_faults(config: Config, text: str) -> Iterator[Problem]:
    for number, one in enumerate(config.alerts, 1):
        fault = programs.find_fault(config.folder, one.exec[0]) if one.exec else None
        if fault:
            line = line_of(("alerts", str(number)), text)
            place = f"{config.file.name}:{line}: alerts.{one.name}.exec"
            yield Problem(place, f"{one.exec[0]} {fault}", "See docs/alerts.md.")


def find_troubles(store: Store, now: Millis) -> Iterator[Problem]:
    """Yield dead letters, webhooks that have failed for a day, alerts that nobody got."""
    for name, one in store.alerts.load_states().items():
        if one.failure is not None:
            remedy = f"Mend it, then try: pushctl alerts test {name}"
            yield Problem(f"alert {name}", one.failure, remedy)
    for name, state in store.webhooks.load_states().items():
        if state.failing_since is not None and now - state.failing_since >= DAY:
            since = wording.moment(state.failing_since)
            text = f"fails since {since}: {state.reason}"
            remedy = f"Mend the receiver, then try: pushctl webhooks test {name}"
            yield Problem(f"webhook {name}", text, remedy)
    for (name, kind), count in store.webhooks.count_states().items():
        if kind == "dead":
            remedy = f"pushctl webhooks dead {name} lists them, and replay delivers them."
            yield Problem(f"webhook {name}", f"has {counted(count, 'dead letter')}", remedy)
