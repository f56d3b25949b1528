"""Config -> Postbox: contact and keys, allowed hosts, the journal's folder."""

from collections.abc import Mapping

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.push import Postbox, vapid


def open_postbox(config: Config, run: str) -> Postbox:
    """
    Return the postbox of *config* for the run called *run*.

    Raises ConfigError when there is no VAPID key, or when push services would refuse
    the contact.
    """
    keys = vapid.load_required(config.keys)
    if faults := vapid.check_contact(config.contact):
        raise ConfigError(
            f"push services refuse contact = {config.contact!r} in {config.file.name}: "
            f"{'; '.join(faults)}. Write a mailto: or https: address that reaches you."
        )
    make_journal(config)
    return _make_postbox(config, run, {name: key.pem for name, key in keys.items()})


def make_journal(config: Config) -> None:
    """Make the journal's folder, where it is missing; ConfigError where something else is."""
    try:
        config.journal.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError:
        raise ConfigError(
            f"{config.journal} is no folder. Remove what is in its place."
        ) from None


def open_keyless(config: Config, run: str) -> Postbox:
    """Return a postbox that can ask push services and send nothing; nothing is written."""
    return _make_postbox(config, run, {})


def _make_postbox(config: Config, run: str, keys: Mapping[str, bytes]) -> Postbox:
    push = config.push
    return Postbox(
        contact=config.contact,
        keys=keys,
        journal=config.journal,
        run=run,
        allowed_hosts=tuple(push.allowed_hosts),
        encoder=push.encoder,
        timeout=push.timeout,
        proxy=push.proxy,
        loopback=dict(push.loopback.hosts),
        loopback_ca=push.loopback.ca,
        stop=config.journal / f"{run}.stop",
        withheld=config.journal / f"{run}.withheld",
    )


def make_warning(config: Config) -> str | None:
    """Return the warning of sending commands while messages go to this machine."""
    hosts = config.push.loopback.hosts
    if not hosts:
        return None
    several = ", and so on" if len(hosts) > 2 else ""
    return (
        "[push.loopback] is on: messages go to THIS MACHINE, not to "
        f"{', '.join(sorted(hosts)[:2])}{several}. Remove it from {config.file.name} to send "
        "for real."
    )
