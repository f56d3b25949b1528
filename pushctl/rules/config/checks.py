"""
Checks of single settings: each returns (fault, remedy), or None for a good value.

They stand in the metadata of config/sections.py's fields. A fault continues a sentence that
begins with the setting's name: "sites.shop.origin has a path".
"""

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from pushctl.errors import InputError
from pushctl.rules import amounts, topics
from pushctl.rules.limits import MAX_PARAMETER_CHARACTERS
from pushctl.rules.zones import find_zone

Verdict = tuple[str, str] | None

ENCODERS = ("auto", "turbo", "fast", "direct", "pywebpush")

# What [sites.NAME.utm] may have filled in: nothing of a person.
PLACEHOLDERS = ("campaign", "template", "variant", "language", "site")
PLACEHOLDER = re.compile(r"\{(\w*)\}")

_HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_PORT = r"(?::(?P<port>[0-9]{1,5}))?"
_HOST_PORT = re.compile(rf"{_HOST}{_PORT}", re.ASCII)
_SECURE = re.compile(rf"https://(?P<host>{_HOST}){_PORT}", re.ASCII)
# Browsers give service workers and push to these two without TLS (Secure Contexts).
_LOCAL = re.compile(rf"http://(?:localhost|127\.0\.0\.1){_PORT}", re.ASCII)
_LOOPBACK = re.compile(
    r"(?:127(?:\.[0-9]{1,3}){3}|\[::1\]|localhost):(?P<port>[0-9]{1,5})", re.ASCII
)
_LISTEN = re.compile(
    r"(?P<host>[0-9.]+|\[[0-9a-fA-F:]+\]|localhost):(?P<port>[0-9]{1,5})", re.ASCII
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(
    r"(?P<language>[a-z]{2,3})(?P<script>-[a-z]{4})?(?P<region>-(?:[a-z]{2}|[0-9]{3}))?",
    re.ASCII | re.IGNORECASE,
)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_URL = re.compile(r"https?://[^\s\"'<>\\^`{|}\x00-\x20\x7f]+")
_APP_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_MERCHANT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_RETURN = re.compile(r"https://[^\s\"'<>\\^`{|}\x00-\x20\x7f-\U0010ffff]{1,292}")
# Bech32 of 32 bytes; a public key as OpenSSH writes it, its comment included.
_RECIPIENT = re.compile(
    r"age1[02-9ac-hj-np-z]{58}|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]{40,}(?: [^\r\n]*)?", re.ASCII
)
_COLOR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.ASCII | re.IGNORECASE)
_MAIL = re.compile(r"mailto:[^@\s<>,;:\"]+@(?P<host>[^@\s<>,;:\"]+)", re.IGNORECASE)


def _match(pattern: re.Pattern[str], value: str) -> re.Match[str] | None:
    """Match the whole *value*; None where its port is no port."""
    match = pattern.fullmatch(value)
    port = match.groupdict().get("port") if match else None
    return match if port is None or 0 < int(port) < 65536 else None


def _written(pattern: re.Pattern[str], thing: str, example: str) -> Callable[[str], Verdict]:
    def check(value: str) -> Verdict:
        if _match(pattern, value):
            return None
        return f"is {value!r}, not {thing}", f"Write it like {example!r}."

    return check


listen = _written(_LISTEN, "an address with a port", "127.0.0.1:8750")
header_name = _written(_HEADER, "a header's name", "CF-IPCountry")
url = _written(_URL, "a URL", "https://shop.example/icon.png")
merchant = _written(_MERCHANT, "a merchant code", "2COLNC")
return_url = _written(
    _RETURN, "an https URL of at most 300 letters", "https://shop.example/thanks"
)


def origin(value: str) -> Verdict:
    """Check an origin as browsers write it in the Origin header: it is compared whole."""
    match = _match(_SECURE, value) or _match(_LOCAL, value)
    if match:
        if value.startswith("https:") and match["port"] == "443":
            return f"is {value!r}; browsers leave out the port 443", f"Write {value[:-4]!r}."
        return None
    return f"is {value!r}, not an origin", _origin_remedy(value)


def _origin_remedy(value: str) -> str:
    try:
        parts = urlsplit(value if "//" in value else f"https://{value}")
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except (ValueError, UnicodeError):
        host, port = "", None
    meant = f"https://{host}" + (f":{port}" if port and port != 443 else "")
    if _SECURE.fullmatch(meant):
        return f"Write {meant!r}: https, the host in lower case, no path and no slash."
    return "Write it like 'https://shop.example': https, a host, no path and no slash."


def receiver_url(value: str) -> Verdict:
    """Check the receiver's public URL; empty until there is one, and it may have a path."""
    if not value:
        return None
    scheme, _, rest = value.partition("://")
    host, slash, path = rest.partition("/")
    if origin(f"{scheme}://{host}") is None and not (slash and not path):
        return url(value)
    return (
        f"is {value!r}, not an https URL without a slash at its end",
        "Write it like 'https://push.shop.example'.",
    )


def contact(value: str) -> Verdict:
    """Check the VAPID sub, by which push services reach the sender (RFC 8292, 2.1)."""
    mail = _MAIL.fullmatch(value)
    host = mail["host"] if mail else ""
    if value.startswith("https://") and url(value) is None:
        host = urlsplit(value).hostname or ""
    if "." in host:
        return None
    remedy = "Write 'mailto:you@shop.example', an address that somebody reads."
    if "@" in value and ":" not in value:
        remedy = f"Write 'mailto:{value}'."
    # Apple answers 403 to subs of localhost, and to "<you@shop.example>".
    return f"is {value!r}, which push services refuse", remedy


def language(value: str) -> Verdict:
    match = _LANGUAGE.fullmatch(value)
    if match is None:
        return f"is {value!r}, not a language tag", "Write it like 'en', 'pt-BR' or 'zh-Hant'."
    script, region = (match["script"] or "").title(), (match["region"] or "").upper()
    right = match["language"].lower() + script + region
    if value != right:
        return f"is {value!r}, not written as browsers write it", f"Write {right!r}."
    return None


def country(value: str) -> Verdict:
    if not re.fullmatch("[A-Z]{2}", value):
        return f"is {value!r}, not a country", "Write its two letters (ISO 3166-1): 'TR'."
    return None


def timezone(value: str) -> Verdict:
    if find_zone(value) is None:
        import zoneinfo

        known = zoneinfo.available_timezones()
        near = get_close_matches(value, known, n=1) or ["Europe/Berlin"]
        return f"is {value!r}, not a time zone", f"Write it like {near[0]!r}."
    return None


def app_id(value: str) -> Verdict:
    if _APP_ID.fullmatch(value):
        return None
    return f"is {value[:60]!r}", "Copy it from OneSignal: letters, digits and '-', at most 64."


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FULL_HOUR = re.compile(r"(?:[01][0-9]|2[0-3]):00", re.ASCII)


def stretch(value: str) -> Verdict:
    """Check a stretch of the day: "21:00-08:00"."""
    from pushctl.rules import timing  # it takes 15 ms of every start

    return _read(timing.window, value)


def work_hours(value: str) -> Verdict:
    """Check full hours of one day: "09:00-17:00"."""
    begin, _, end = value.partition("-")
    if _FULL_HOUR.fullmatch(begin) and _FULL_HOUR.fullmatch(end) and "00:00" < begin < end:
        return None
    return f"is {value!r}", 'Write full hours of one day: "09:00-17:00".'


def weekday(value: str) -> Verdict:
    if value in WEEKDAYS:
        return None
    return f"has {value!r}", f"Write days such as {WEEKDAYS[5]}."


def duration(value: str) -> Verdict:
    from pushctl.rules import timing

    return _read(timing.duration, value)


def at_least(least: int) -> Callable[[str], Verdict]:
    """Return the check of a duration that is not shorter than *least* milliseconds."""

    def check(value: str) -> Verdict:
        from pushctl.rules import timing

        if (fault := duration(value)) is not None:
            return fault
        if timing.duration(value) < least:
            return f"is {value!r}", f"Write {timing.say(least)!r} or more."
        return None

    return check


def _read(reader: Callable[[str], Any], value: str) -> Verdict:
    try:
        reader(value)
    except InputError as error:
        fault, _, remedy = str(error).partition(". ")
        return fault, remedy or "Write it like this: '30d'."
    return None


def recipient(value: str) -> Verdict:
    """Check whom a backup is encrypted to: a public key of age's or of SSH."""
    if _RECIPIENT.fullmatch(value):
        return None
    if value.startswith("AGE-SECRET-KEY-"):
        return (
            "is a private key",
            "Write the public one: `pushctl backup --new-key FILE` showed it.",
        )
    return (
        f"is {value[:40]!r}, no public key",
        "Write one that begins with age1 or ssh-ed25519.",
    )


def word(value: str) -> Verdict:
    if value and value == value.strip() and value.isprintable() and len(value) <= 40:
        return None
    return f"is {value[:60]!r}", "Write a word, such as '2026'."


def topic(value: str) -> Verdict:
    return None if topics.is_topic(value) else (f"is {value!r}", topics.REMEDY)


def currency(value: str) -> Verdict:
    if value in amounts.CURRENCIES:
        return None
    known = amounts.read_currency(value)
    remedy = f"Write {known!r}." if known else "Write the code of ISO 4217: 'EUR', 'TRY'."
    return f"is {value!r}, not the code of a currency", remedy


def network(value: str) -> Verdict:
    import ipaddress

    try:
        ipaddress.ip_network(value)
    except ValueError:
        return f"is {value!r}, not an address or network", "Write it like '10.0.0.0/8'."
    return None


def textfile(value: Any) -> Verdict:
    if str(value).endswith(".prom"):
        return None
    # node_exporter's textfile collector reads no other files.
    return f"is {str(value)!r}, which node_exporter won't read", "Let it end in .prom."


def log_form(value: str) -> Verdict:
    if value in ("text", "json"):
        return None
    return f"is {value!r}, not a log format", "Write 'text' or 'json'."


def encoder(value: str) -> Verdict:
    if value in ENCODERS:
        return None
    return f"is {value!r}, not an encoder", f"Write one of {', '.join(ENCODERS)}."


def push_host(value: str) -> Verdict:
    host = value.removeprefix(".")
    if "." in host and _match(_HOST_PORT, host):
        return None
    return (
        f"is {value!r}, not a host name in lower case",
        "Write 'push.example' for one host, '.push.example' for its subdomains.",
    )


def loopback(pair: tuple[str, str]) -> Verdict:
    """Check a name and the address on this machine, and nowhere else, that it stands for."""
    name, target = pair
    if not _HOST_PORT.fullmatch(name):
        return f"{name!r} is not a host name", "Write it like 'push.example:443'."
    if _match(_LOOPBACK, target):
        return None
    return f"is {target!r}, which is not on this machine", "Write it like '127.0.0.1:8443'."


def proxy(value: str) -> Verdict:
    if _match(re.compile(rf"http://(?:[^@/\s]+@)?{_HOST}{_PORT}/?", re.ASCII), value):
        return None
    # Not repeated here: it may hold a password.
    return "is not the URL of an HTTP proxy", "Write it like 'http://proxy.example:3128'."


def parameter(value: str) -> Verdict:
    """Check a parameter of links: a short text, in which a word in braces is filled in."""
    if len(value) > MAX_PARAMETER_CHARACTERS or not value.isprintable():
        fault = (
            f"is longer than {MAX_PARAMETER_CHARACTERS} characters, or has a control character"
        )
        return fault, "Write a short word, like 'push'."
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for name in PLACEHOLDER.findall(value):
        if name not in PLACEHOLDERS:
            return f"has {{{name}}}, which nothing stands for", f"Known: {known}."
    if set(PLACEHOLDER.sub("", value)) & set("{}"):
        return "has a brace without its pair", f"Write one of {known}, or no brace."
    return None


color = _written(_COLOR, "a colour", "#0a7")


def positive(value: float) -> Verdict:
    if value > 0:
        return None
    return f"is {value:g}", "Write a number above 0, or leave it out for no limit."


def between(low: float, high: float) -> Callable[[Any], Verdict]:
    def check(value: float) -> Verdict:
        if low <= value <= high:
            return None
        return f"is {value:g}", f"Write a number from {low:g} to {high:g}."

    return check


def named(pair: tuple[str, Any]) -> Verdict:
    """Check the name of a site or a segment: typed on command lines, part of file names."""
    if _NAME.fullmatch(pair[0]):
        return None
    return "is not a usable name", "Use small letters, digits, '-' and '_', at most 64."


def sites(value: Mapping[str, Any] | Collection[str]) -> Verdict:
    if value:
        return None
    return "has no site", "Write [sites.shop] and its origin below it."


def name(value: str) -> Verdict:
    """Check a name that stands in a value: of a webhook."""
    if _NAME.fullmatch(value):
        return None
    return f"is {value!r}", "Use small letters, digits, '-' and '_', at most 64."
