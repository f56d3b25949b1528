"""Trigger steps on other channels: a program or a webhook is called for each person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from pushctl import web
from pushctl.config import Config
from pushctl.errors import BusyError
from pushctl.jobs.delivery import calls
from pushctl.jobs.delivery.calls import Called, Ended
from pushctl.jobs.delivery.rendering.context import Context
from pushctl.jobs.webhooks import programs, request, secrets
from pushctl.jobs.webhooks.events import write_time
from pushctl.jobs.webhooks.secrets import Secret
from pushctl.model import Campaign, Json, Millis
from pushctl.rules.triggers.consents import fold_channel
from pushctl.rules.web import standard_webhooks as standard
from pushctl.rules.web.webhooks import Webhook
from pushctl.store import Store, clocks
from pushctl.store.ledger_rows import ClaimedRow


@dataclass
class Report:
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)  # for the owner of the shop


def run_due(store: Store, config: Config, now: Millis, seconds: float) -> Report:
    """Make the calls that are due at *now*, for *seconds* and what is under way then."""
    report, began = Report(), clocks.read_seconds()
    for number in store.deliveries.list_due_calls(now):
        passed = clocks.read_seconds() - began
        if passed > seconds:
            break
        campaign = store.campaigns.get_by_id(number)
        caller = _Caller(store, config, campaign)
        at = now + int(passed * 1000)
        try:
            report.counts.update(
                calls.run(store, config, campaign, at, caller, seconds - passed)
            )
        except BusyError:
            continue  # another process makes them
        if caller.fault:
            report.notes.append(f"{campaign.name}: {caller.fault}")
    return report


class _Caller:
    """Makes the calls of one step."""

    def __init__(self, store: Store, config: Config, campaign: Campaign) -> None:
        self._store, self._config, self._campaign = store, config, campaign
        self._secret = config.secret()
        self._hook = self._find_webhook()
        self.fault = ""  # why calls could not be begun

    def _find_webhook(self) -> tuple[Webhook, Secret] | None:
        """Return the step's webhook with its secret; None where pushctl.toml has none such."""
        name = self._campaign.options.get("webhook")
        found = [one for one in self._config.webhooks if one.name == name]
        return (found[0], secrets.ensure(self._config, found[0].name)) if found else None

    def describe(
        self, rows: Sequence[ClaimedRow], contexts: Context, now: Millis
    ) -> Mapping[int, str]:
        people = [row.subscription for row in rows]
        tags = self._store.tags.list_names(people, now)
        agreed = self._find_consents(people)
        return {
            row.id: orjson.dumps(
                {
                    "type": "step",
                    "timestamp": write_time(now),
                    "id": self._name_call(row.id),
                    "data": {
                        **self._describe(row, contexts.get(row.id, {}), tags),
                        **agreed.get(row.subscription, {}),
                    },
                }
            ).decode()
            for row in rows
        }

    def refuse(self, rows: Sequence[ClaimedRow]) -> Mapping[int, str]:
        """Return who has taken their consent back since the step was decided, and why not."""
        if not (channel := self._campaign.options.get("consent")):
            return {}
        agreed = self._find_consents([row.subscription for row in rows])
        why = f"no consent to {channel} any more"
        return {row.id: why for row in rows if row.subscription not in agreed}

    def _find_consents(self, people: Sequence[int]) -> dict[int, dict[str, Json]]:
        """Return the consents that the step needs, with the form's words, by subscription."""
        channel = fold_channel(self._campaign.options.get("consent"))
        if channel is None:
            return {}
        persons = {
            one.subscription: one for one in self._store.enrolments.list_devices(set(people))
        }
        open_ones = self._store.channel_consents.find_open(persons)
        by_person: dict[str, dict[str, Json]] = {}
        for number, device in persons.items():
            if given := open_ones.get(number, {}).get(channel):
                told = {**given._asdict(), "at": write_time(given.at)}
                del told["subscription"]
                by_person[device.key] = {"consent": told}
        return {
            one: by_person[persons[one].key]
            for one in people
            if one in persons and persons[one].key in by_person
        }

    def _name_call(self, row: int) -> str:
        return standard.make_id(self._secret, "step", "deliveries", row)

    def _describe(
        self, row: ClaimedRow, context: Mapping[str, Json], tags: Mapping[int, list[str]]
    ) -> dict[str, Json]:
        """Return the person's data, without anything by which pushes reach them."""
        step = self._campaign.name.partition(":")[0].rpartition("/")
        extra = self._campaign.options.get("extra") or {}
        return {
            "campaign": self._campaign.name,
            "trigger": step[0],
            "step": int(step[2]),
            "site": row.site,
            "subscriber": row.public_id,
            "alias": row.alias,
            "language": row.language,
            "timezone": row.timezone,
            "country": row.country,
            "city": row.city,
            "attributes": orjson.loads(row.attributes),
            "tags": tags.get(row.subscription, []),
            "event": context.get("event"),
            "cart": context.get("cart"),
            "value": context.get("value"),
            "promo": context.get("promo", extra.get("promo")),
        }

    def call(self, row: int, payload: str) -> Called:
        if self._campaign.options["channel"] == "exec":
            called = self._run_program(payload)
        else:
            called = self._post(row, payload)
        if called.ended is Ended.NOT_BEGUN:
            self.fault = called.reason
        return called

    def _run_program(self, payload: str) -> Called:
        arguments = self._campaign.options["exec"]
        ran = programs.run(self._config.folder, arguments, payload.encode())
        if ran.fault:
            return Called(Ended.NOT_BEGUN, ran.fault)
        if ran.code is None:
            why = f"it took too long and was killed. {ran.output}"
            return Called(Ended.IN_DOUBT, why.rstrip(". "))
        if ran.code == 0:
            return Called(Ended.ACCEPTED)
        how = f"it ended with {ran.code}" if ran.code > 0 else f"signal {-ran.code} killed it"
        return Called(Ended.REJECTED, f"{how}. {ran.output}".rstrip(". "))

    def _post(self, row: int, payload: str) -> Called:
        if self._hook is None:
            name = self._campaign.options["webhook"]
            return Called(Ended.NOT_BEGUN, f"pushctl.toml has no webhook {name!r}")
        (hook, secret), now = self._hook, request.read_wall_clock()
        valid = secret.list_valid(now)
        policy = request.make_policy(self._config, hook)
        client = web.Client()  # a connection of its own: one that is kept may lose a request
        try:
            message = self._name_call(row)
            result = request.post(client, policy, hook, valid, message, now, payload)
        finally:
            client.close()
        if result.taken:
            return Called(Ended.ACCEPTED, "", result.status)
        if result.status is not None:
            return Called(Ended.REJECTED, result.why, result.status)
        return Called(Ended.IN_DOUBT if result.begun else Ended.NOT_BEGUN, result.why)
