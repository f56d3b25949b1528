"""Requests about a person's wishes: pause, fewer, erasure, consent, the invitation."""

from pushctl.errors import InputError
from pushctl.jobs.ingest import tracking
from pushctl.jobs.ingest.verify import Body, Context, Erased, authenticate
from pushctl.model import InboxRecord, Millis
from pushctl.rules.limits import MAX_ID_CHARACTERS, MAX_PAUSE_SECONDS, MAX_TEXT_CHARACTERS
from pushctl.rules.units import SECOND
from pushctl.rules.web import agents, bodies, fields
from pushctl.rules.web.reserved_tags import FEWER, PAUSED
from pushctl.store.prompts import OTHER, STAGES, VISIT


def set_preferences(ctx: Context, record: InboxRecord, body: Body) -> str:
    """Set or end a pause, ask for fewer messages or all of them, refuse or allow tracking."""
    pause, fewer = body.get("pause"), body.get("fewer")
    if pause is not None and (type(pause) is not int or not 0 <= pause <= MAX_PAUSE_SECONDS):
        raise InputError("pause is no time in seconds up to a year")
    if fewer is not None and type(fewer) is not bool:
        raise InputError("fewer is neither true nor false")
    wish = tracking.read_wish(body)
    known = authenticate(ctx, record, body)
    tracking.note_wish(ctx.store, record, wish, known)
    tags = ctx.store.tags
    if pause:
        until = record.at + pause * SECOND
        tags.add([known.id], PAUSED, record.at, until)
        ctx.store.schedules.withhold(known.id, until, "asked for a pause", record.at)
    elif pause == 0:
        tags.remove([known.id], PAUSED)
    if fewer:
        tags.add([known.id], FEWER, record.at)
    elif fewer is False:
        tags.remove([known.id], FEWER)
    return "preferences"


def erase(ctx: Context, record: InboxRecord, body: Body) -> str:
    """Erase one subscription: other browsers with its alias did not ask for that."""
    known = authenticate(ctx, record, body)
    erase_subscription(ctx, known.id, known.public_id, record.at)
    return "forgotten"


def erase_subscription(ctx: Context, subscription: int, public_id: str, at: Millis) -> None:
    """Erase a subscription; the drain then clears it from the files of the inbox."""
    endpoints = frozenset(ctx.store.erasure.list_endpoints([subscription]))
    for endpoint_hash in endpoints:
        ctx.store.tombstones.add(ctx.secret, endpoint_hash, at)
    ctx.erased_names.update(ctx.store.erasure.list_names([subscription]))
    deliveries = frozenset(ctx.store.erasure.list_deliveries([subscription]))
    ctx.forgotten.append(Erased(endpoints, public_id, deliveries, at))
    ctx.store.erasure.erase([subscription], at)


def keep_consent(ctx: Context, record: InboxRecord, subscription: int, body: Body) -> None:
    """Keep the version of the words that a person agreed to, with time and page."""
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
    ctx.store.consents.add(subscription, text, at, page, record.at)


def count_prompt(ctx: Context, record: InboxRecord, body: Body) -> str:
    stage = bodies.text(body, "stage")
    if stage not in (*STAGES, VISIT):
        raise InputError("stage is none of the invitation's")
    variant = bodies.label(body.get("variant"), "variant", MAX_ID_CHARACTERS)
    given = bodies.perhaps(fields.language, body.get("language"))
    language = given.partition("-")[0].lower() if given else OTHER
    browser, _ = agents.recognise(record.user_agent, record.hints)
    known = browser if browser in agents.KNOWN else OTHER
    site = ctx.sites[record.site]
    ctx.store.prompts.count(
        site, record.at, variant, language, known, stage, record.hints.get("sender")
    )
    return f"invitation {stage}"
