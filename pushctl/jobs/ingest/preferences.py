"""What people choose: pause, fewer, erase me, consent, and how they met the invitation."""

from collections.abc import Mapping

from pushctl.errors import InputError
from pushctl.jobs.ingest.verify import Desk, Erased, Verdict, find
from pushctl.model import InboxRecord, Json, Millis
from pushctl.rules.limits import MAX_ID_CHARACTERS, MAX_PAUSE_SECONDS, MAX_TEXT_CHARACTERS
from pushctl.rules.units import SECOND
from pushctl.rules.web import agents, bodies, fields
from pushctl.rules.web.reserved_tags import FEWER, PAUSED
from pushctl.store.prompts import OTHER, STAGES


def preferences(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    """Set or end a pause, ask for fewer messages or for all of them again."""
    pause, fewer = body.get("pause"), body.get("fewer")
    if pause is not None and (type(pause) is not int or not 0 <= pause <= MAX_PAUSE_SECONDS):
        raise InputError("pause is no time in seconds up to a year")
    if fewer is not None and type(fewer) is not bool:
        raise InputError("fewer is neither true nor false")
    known = find(desk, record, body)
    if isinstance(known, Verdict):
        return known
    tags = desk.store.tags
    if pause:
        until = record.at + pause * SECOND
        tags.add([known.id], PAUSED, record.at, until)
        desk.store.schedules.withhold(known.id, until, "asked for a pause", record.at)
    elif pause == 0:
        tags.remove([known.id], PAUSED)
    if fewer:
        tags.add([known.id], FEWER, record.at)
    elif fewer is False:
        tags.remove([known.id], FEWER)
    return Verdict(True, "preferences")


def forget(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    """
    Erase the subscription whose browser asks for it, and leave a tombstone.

    Only this browser's: an alias may stand for others who did not ask.
    """
    known = find(desk, record, body)
    if isinstance(known, Verdict):
        return known
    endpoints = frozenset(desk.store.erasure.list_endpoints([known.id]))
    for endpoint_hash in endpoints:
        desk.store.tombstones.add(desk.secret, endpoint_hash, record.at)
    deliveries = frozenset(desk.store.erasure.list_deliveries([known.id]))
    desk.forgotten.append(Erased(endpoints, known.public_id, deliveries, record.at))
    desk.store.erasure.erase([known.id], record.at)
    return Verdict(True, "forgotten")


def consent(
    desk: Desk, record: InboxRecord, subscription: int, body: Mapping[str, Json]
) -> None:
    """Keep which words somebody agreed to, when and where."""
    given = body.get("consent")
    if given is None:
        return
    if not isinstance(given, dict):
        raise InputError("consent is no object")
    text = bodies.label(given.get("text"), "consent's text")
    page = given.get("page")
    if page is not None and not (isinstance(page, str) and len(page) <= MAX_TEXT_CHARACTERS):
        raise InputError("consent's page is no text of at most 1,024 characters")
    at = bodies.moment(given.get("at"), record.at)
    desk.store.consents.add(subscription, text, at, page, record.at)


def prompt(desk: Desk, record: InboxRecord, body: Mapping[str, Json]) -> Verdict:
    """Count one step of somebody unknown through the invitation."""
    stage = bodies.text(body, "stage")
    if stage not in STAGES:
        raise InputError("stage is none of the invitation's")
    variant = bodies.label(body.get("variant"), "variant", MAX_ID_CHARACTERS)
    said = bodies.perhaps(fields.language, body.get("language"))
    language = said.partition("-")[0].lower() if said else OTHER
    browser, _ = agents.recognise(record.user_agent, record.hints)
    known = browser if browser in agents.KNOWN else OTHER
    at: Millis = record.at
    desk.store.prompts.count(desk.sites[record.site], at, variant, language, known, stage)
    return Verdict(True, f"invitation {stage}")
