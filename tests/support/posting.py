"""Browsers that post to the inbox as pushctl.js does, and the project they post to."""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from pushctl.config import Config, Site
from pushctl.inbox import Writer
from pushctl.jobs.ingest.drain import IngestReport, drain
from pushctl.model import CampaignStatus, InboxRecord, Millis, Subscription
from pushctl.push import vapid
from pushctl.rules import tokens
from pushctl.store import Store
from tests import support
from tests.support import NOON
from tests.support.rows import by_endpoint_hash

SECRET = bytes(range(32))
ALIAS_SECRET = b"the shop's own key"
_numbers: Iterator[int] = count()

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@dataclass(frozen=True)
class Project:
    """A project folder with keys, an inbox and a database."""

    config: Config
    store: Store
    key: str  # the applicationServerKey

    def post(self, *records: InboxRecord) -> None:
        writer = Writer(self.config.inbox)
        writer.append(records)
        writer.close()

    def drain(self, *records: InboxRecord, now: Millis = NOON + 60_000) -> IngestReport:
        if records:
            self.post(*records)
        return drain(self.store, self.config, SECRET, now)

    def get(self, browser: "Browser") -> Subscription | None:
        hashed = tokens.endpoint_hash(browser.endpoint)
        return by_endpoint_hash(self.store, hashed, NOON)

    def plan(self, browser: "Browser", name: str = "spring") -> int:
        """Plan a message of a new running campaign to *browser*; return its row."""
        found = self.get(browser)
        assert found is not None
        campaign = self.store.campaigns.create(
            name=name,
            template="spring",
            audience="",
            sources={},
            options={},
            now=NOON,
            expires_at=None,
            status=CampaignStatus.RUNNING,
        )
        self.store.deliveries.plan(campaign.id, [found.id], now=NOON, expires_after=None)
        (row,) = self.store.connection.execute("SELECT max(id) FROM deliveries").fetchone()
        return int(row)


def make_project(folder: Path, store: Store) -> Project:
    key = vapid.write(folder / "keys")
    (folder / "keys" / "alias_secret").write_bytes(ALIAS_SECRET + b"\n")
    return Project(config_of(folder, store.path), store, key.public)


def config_of(folder: Path, database: Path | None = None) -> Config:
    """Return the config of a project in *folder*, without a file."""
    return Config(
        file=folder / "pushctl.toml",
        contact="mailto:push@shop.example",
        sites={
            "shop": Site("shop", "https://shop.example"),
            "blog": Site("blog", "https://blog.example"),
        },
        database=database or folder / "pushctl.db",
        inbox=folder / "inbox",
        templates=folder / "templates",
        keys=folder / "keys",
        journal=folder / "journal",
    )


@dataclass(frozen=True)
class Browser:
    """One browser; *number* gives it its keys and endpoint."""

    number: int
    key: str  # the applicationServerKey it subscribes with
    site: str = "shop"
    keys: int | None = None  # the keys of another browser

    @property
    def endpoint(self) -> str:
        return support.endpoint(self.number)

    @property
    def auth(self) -> bytes:
        return support.auth(self.number if self.keys is None else self.keys)

    @property
    def p256dh(self) -> bytes:
        return support.p256dh(self.number if self.keys is None else self.keys)

    def record(
        self, path: str, body: Any, at: Millis = NOON, sign: bytes | None = None, **more: Any
    ) -> InboxRecord:
        """Return a request; *sign* is the auth to sign with, b"" for none."""
        raw = body if isinstance(body, str) else orjson.dumps(body).decode()
        auth = self.auth if sign is None else sign
        signature = tokens.sign_request(auth, path, at // 1000, raw.encode()) if auth else None
        return InboxRecord(
            id=f"{next(_numbers):022}",
            at=at,
            path=path,
            site=self.site,
            body=raw,
            signature=signature,
            **more,
        )

    def subscribe(
        self, at: Millis = NOON, previous: "Browser | None" = None, **body: Any
    ) -> InboxRecord:
        keys = {"p256dh": tokens.encode(self.p256dh), "auth": tokens.encode(self.auth)}
        body = {
            "subscription": {"endpoint": self.endpoint, "keys": keys},
            "key": self.key,
            **body,
        }
        if previous is not None:
            body["previous"] = previous.endpoint
            body["previous_signature"] = tokens.sign_request(
                previous.auth, "/v1/subscribe#previous", at // 1000, self.endpoint.encode()
            )
        return self.record("/v1/subscribe", body, at, user_agent=FIREFOX)

    def post(self, path: str, at: Millis = NOON, sign: bytes | None = None, **body: Any) -> Any:
        return self.record(path, {"endpoint": self.endpoint, **body}, at, sign)

    def tag(self, names: Iterable[str], sender: str | None = None) -> InboxRecord:
        """Return a request for tags, from the address that *sender* stands for."""
        body = {"endpoint": self.endpoint, "add": list(names)}
        hints = {} if sender is None else {"sender": sender}
        return self.record("/v1/tags", body, hints=hints)

    def report(self, delivery: int, kind: str, at: Millis = NOON, **body: Any) -> InboxRecord:
        token = tokens.message_token(SECRET, delivery)
        return self.record("/v1/reports", {"message": token, "kind": kind, **body}, at, b"")


def sign_alias(alias: str, secret: bytes = ALIAS_SECRET) -> str:
    digest = hmac.new(secret, f"alias\n{alias}".encode(), hashlib.sha256).digest()
    return tokens.encode(digest)


def events_of(project: Project, browser: Browser) -> list[str]:
    found = project.get(browser)
    assert found is not None
    names = [event.name for event in project.store.events.list_newest(found.id)]
    assert names.count("subscribed") == 1  # every subscription begins with it
    return [name for name in names if name != "subscribed"]
