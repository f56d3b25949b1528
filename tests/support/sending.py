"""A project with people in it and a push service beside it, for tests that send."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pushctl import config as configs
from pushctl.config import Config, LoopbackConfig
from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.delivery import deliver
from pushctl.model import Campaign, Letter, Millis
from pushctl.push import vapid
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from pushctl.store.subscriptions import Registration
from tests.support import NOON, auth, p256dh, project
from tests.support.rows import counts_by_state, deliveries

MOZILLA = "updates.push.services.mozilla.com"
FCM = "fcm.googleapis.com"
APPLE = "web.push.apple.com"
WNS = "wns2-par02p.notify.windows.com"

_PATHS = {MOZILLA: "/wpush/v2/", FCM: "/wp/", APPLE: "/", WNS: "/w/?token="}


@dataclass
class Field:
    """Everything that a test of sending needs."""

    config: Config
    store: Store
    key: str  # id of the VAPID key

    def people(
        self,
        count: int,
        host: str = MOZILLA,
        *,
        language: str | None = "en",
        tag: str | None = "Sale",
        first: int = 0,
        key: str | None = None,
        now: Millis = NOON,
    ) -> list[int]:
        """Add subscriptions number *first* and up at *host*; return their rows."""
        site = self.store.sites.sync({"shop": "https://shop.example"})["shop"]
        rows = []
        with self.store.write():
            for number in range(first, first + count):
                address = f"https://{host}{_PATHS[host]}{number:07}"
                made = Registration(
                    site,
                    address,
                    endpoint_hash(address),
                    p256dh(number % 50),
                    auth(number % 50),
                    key or self.key,
                )
                rows.append(self.store.subscriptions.add(made, {"language": language}, now))
            if tag:
                self.store.tags.add(rows, tag, now)
        return rows

    def subscribed(
        self, service: PushService, name: str, public: str, *, count: int
    ) -> list[int]:
        """Add simulated browsers of *service* that are bound to the key *public*."""
        site = self.store.sites.sync({"shop": "https://shop.example"})["shop"]
        rows = []
        for number in range(count):
            address = service.subscribe(name, public)
            made = Registration(
                site, address, endpoint_hash(address), p256dh(number), auth(number), self.key
            )
            rows.append(self.store.subscriptions.add(made, {"language": "en"}, NOON))
        return rows

    def freeze(self, now: Millis = NOON, **wish: object) -> Campaign:
        """Plan and freeze a campaign; everyone gets "sale" (again), unless told otherwise."""
        wish = {"everyone": True, "template": "sale", "again": True} | wish
        made = broadcast.plan(self.store, self.config, Draft(**wish), now)  # type: ignore[arg-type]
        return broadcast.freeze(self.store, made, now)

    def send(
        self, now: Millis = NOON, *, options: deliver.Options | None = None, **wish: object
    ) -> deliver.Report:
        """Freeze a campaign and send it."""
        campaign = self.freeze(now, **wish)
        options = options or deliver.Options(patience=0.0)
        return deliver.run(self.store, self.config, campaign, now, options)

    def counts(self, campaign: Campaign) -> dict[str, int]:
        return deliveries(self.store, campaign.id)

    def states(self) -> dict[str, int]:
        counts = counts_by_state(self.store)
        return {state.value: count for state, count in counts.items() if count}


def field(folder: Path, service: PushService | None = None) -> Field:
    """Return a fresh project in *folder*, its messages led to *service*."""
    project.make(folder)
    template(folder, "sale", title="Sale", body="Everything must go")
    config = configs.load(folder / "pushctl.toml", {})
    if service is not None:
        config = led_to(config, service)
    (key,) = vapid.load(config.keys)
    return Field(config, Store(config.database), key)


def led_to(config: Config, service: PushService, **push: object) -> Config:
    loopback = LoopbackConfig(service.loopback_hosts, service.ca)
    return replace(config, push=replace(config.push, loopback=loopback, **push))  # type: ignore[arg-type]


def lead_to(folder: Path, service: PushService) -> None:
    """Write into the project's pushctl.toml that messages go to *service*."""
    lines = ["[push.loopback]", f'ca = "{service.ca}"', "[push.loopback.hosts]"]
    lines += [f'"{name}" = "{to}"' for name, to in service.loopback_hosts.items()]
    project.add(folder, "\n".join(lines))


def template(folder: Path, name: str, *, message: str = "", **text: str) -> None:
    """Write a template with one English text."""
    home = folder / "templates" / name
    home.mkdir(parents=True, exist_ok=True)
    (home / "message.toml").write_text(f'url = "/sale"\n{message}\n', "utf-8")
    lines = [f'{key} = "{value}"' for key, value in text.items()]
    (home / "en.toml").write_text("\n".join(lines) + "\n", "utf-8")


def letter(delivery: int) -> Letter:
    """Return a letter that is good for its number only."""
    return Letter(delivery, "", b"", b"", "", b"", 60, "normal", None)


def soon() -> Millis:
    return time.time_ns() // 1_000_000
