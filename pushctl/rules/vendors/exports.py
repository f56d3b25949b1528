"""
The files that other push services give: their columns, and whose worker their people run.

The names are compared as ``jobs.subscribers.files.column`` writes them. OneSignal: its CSV
export with extra_fields. Perfecty: the table ``<prefix>perfecty_push_users``. Pushpad: the
pages of its API. WonderPush: what its support hands out.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from pushctl.model import Worker


class Vendor(StrEnum):
    ONESIGNAL = "onesignal"
    PUSHPAD = "pushpad"
    WONDERPUSH = "wonderpush"
    PERFECTY = "perfecty"
    CSV = "csv"  # any other table


class Export(NamedTuple):
    title: str
    columns: frozenset[str]  # what is beyond is named; empty: any
    marks: frozenset[str]  # that no other service's files have; empty: never recognised
    worker: Worker  # that its people run


_KEYS = frozenset({"endpoint", "p256dh", "auth", "keys", "subscription", "expiration_time"})
EXPORTS: dict[Vendor, Export] = {
    Vendor.ONESIGNAL: Export(
        "OneSignal",
        frozenset({
            "id", "identifier", "external_user_id", "country", "timezone_id", "web_auth",
            "web_p256", "location", "ip", "notification_types", "rooted", "timezone", "tags",
            "created_at", "last_active", "invalid_identifier", "language", "device_os",
            "device_type", "device_model", "session_count", "playtime", "amount_spent",
            "badge_count", "game_version", "sdk", "ad_id",
        }),
        frozenset({"identifier", "web_auth", "web_p256"}),
        Worker.ONESIGNAL,
    ),
    Vendor.PUSHPAD: Export(
        "Pushpad",
        _KEYS | {"id", "project_id", "uid", "tags", "created_at", "last_click_at"},
        frozenset(),
        Worker.UNKNOWN,
    ),
    Vendor.WONDERPUSH: Export(
        "WonderPush",
        _KEYS | {"vapid_public_key", "user_id", "installation_id"},
        frozenset(),
        Worker.UNKNOWN,
    ),
    Vendor.PERFECTY: Export(
        "Perfecty",
        frozenset({
            "id", "uuid", "wp_user_id", "endpoint", "key_auth", "key_p256dh", "remote_ip",
            "is_active", "disabled", "created_at", "creation_time",
        }),
        frozenset({"endpoint", "key_auth", "key_p256dh"}),
        Worker.UNKNOWN,
    ),
    Vendor.CSV: Export("the table", frozenset(), frozenset(), Worker.UNKNOWN),
}  # fmt: skip


def recognise(columns: Collection[str]) -> Vendor | None:
    """Return whose file has *columns*; None where that is not plain."""
    for vendor, export in EXPORTS.items():
        if export.marks and export.marks.issubset(columns):
            return vendor
    return None


def list_strange(
    vendor: Vendor, columns: Collection[str], understood: Collection[str]
) -> list[str]:
    """
    Return the *columns* that a file of *vendor* does not have.

    Nothing is strange in any table, nor what we understand by itself, as ``attr.plan``.
    """
    known = EXPORTS[vendor].columns
    return [each for each in columns if known and each not in known and each not in understood]
