"""
Aliases: who a browser says it belongs to, and whether the shop has signed that.

A page can't be told that its signature is wrong: the receiver has no secret. So the import
names the mistake, and ``pushctl alias`` helps to find it before.
"""

from pushctl.config import Config
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.ingest import shop_orders, tracking
from pushctl.jobs.ingest.verify import Body, Context, Refusal, authenticate
from pushctl.model import InboxRecord, Json
from pushctl.rules.shops.told import Clues
from pushctl.rules.web import alias_signatures, bodies, fields
from pushctl.store.subscriptions import KnownSubscription

WRONG = "alias with a wrong signature"  # how the reasons begin that its refusals count under


def load_secret(config: Config) -> bytes | None:
    """Return the text of keys/alias_secret, None where there is none."""
    file = config.keys / "alias_secret"
    return file.read_bytes().strip() if file.exists() else None


def sign(config: Config, alias: str) -> str:
    """Return the signature of *alias*, as the shop's server has to make it."""
    return alias_signatures.sign(_require_secret(config), _check(alias))


def find_fault(config: Config, alias: str, signature: str) -> str:
    """Return what is wrong with a *signature*, "" if it is right."""
    return alias_signatures.find_fault(_require_secret(config), _check(alias), signature)


def _check(alias: str) -> str:
    return bodies.alias(alias)


def _require_secret(config: Config) -> bytes:
    secret = load_secret(config)
    if not secret:
        raise ConfigError(
            f"{config.keys / 'alias_secret'} does not exist. Restore it from a backup, or run "
            "`pushctl init` for a new one, and give that to your shop's server."
        )
    return secret


def identify(ctx: Context, record: InboxRecord, body: Body) -> str:
    """
    Set what a person is known by to the shop: alias, hash of the e-mail, the basket's key.

    Only an alias with the shop's signature is trusted. A hash needs none: without the
    secret that the shop has nobody can compute it.
    """
    if not body.keys() & {"alias", "email_hash", "cart"}:
        raise InputError("neither alias nor email_hash nor cart is given")
    given, hashed = body.get("alias"), body.get("email_hash")
    alias = None if given is None else bodies.alias(given)
    email_hash = None if hashed is None else _read_hash(hashed)
    known = authenticate(ctx, record, body)
    private = tracking.is_private(record, None, known)
    outcome = f"identification {tracking.NOT_KEPT}" if private else "identified"
    if "alias" in body:
        outcome = _set_alias(ctx, body, known, alias, private=private)
    if "email_hash" in body or ("alias" in body and alias != known.alias):
        # Who logs out, or in as somebody else, takes the hash along.
        ctx.store.matches.set_email_hash(known.id, None if private else email_hash)
    if not private:
        shop_orders.learn_cart_key(ctx, record, known.id, body)
        signed = alias if "signature" in body else None
        if signed or email_hash:
            clues = Clues(alias=signed, email_hash=email_hash)
            site_id = ctx.sites[record.site]
            shop_orders.match_late(ctx.store, site_id, known.id, clues, record.at)
    return outcome


def _read_hash(given: Json) -> str:
    try:
        return fields.email_hash(given)
    except InputError as error:
        raise InputError(f"email_hash {error}") from error


def _set_alias(
    ctx: Context, body: Body, known: KnownSubscription, alias: str | None, *, private: bool
) -> str:
    given, signature = body.get("alias"), body.get("signature")
    subscriptions = ctx.store.subscriptions
    if alias is None:
        subscriptions.set_alias(known.id, None, trusted=False)
        return "alias removed"
    if private:
        return f"alias {tracking.NOT_KEPT}"
    if signature is not None:
        # The shop may have signed the text before spaces and composed letters were made one.
        faults = [_find_fault(ctx, each, signature) for each in (alias, str(given))]
        if all(faults):
            raise Refusal(f"{WRONG}: {faults[0]}")
        subscriptions.set_alias(known.id, alias, trusted=True)
        return "identified"
    if known.alias_trusted:
        if known.alias != alias:  # a script on the page must not change a signed alias
            raise Refusal("alias is signed already")
        return "alias is signed already"
    subscriptions.set_alias(known.id, alias, trusted=False)
    return "labelled"


def _find_fault(ctx: Context, alias: str, signature: object) -> str:
    if not ctx.alias_secret:
        return "there is no keys/alias_secret"
    if not isinstance(signature, str):
        return "it is no text"
    return alias_signatures.find_fault(ctx.alias_secret, alias, signature)
