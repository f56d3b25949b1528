"""
A file of subscribers for benchmarks of millions: real, distinct keys at 4 us each.

Making a key pair takes 20 us and more, and ten million of them are needed. So each point is
its neighbour plus a step: Q + k * G, for a thousand k at a time, with one inversion for all
of them (Montgomery's trick). Every key is a point of P-256 and nobody else's, so that the
import checks it, the sending agrees on secrets with it, and no page of the database
compresses better than a real one. What is not real is that their private keys are easy to
guess; nothing that is measured looks at those.
"""

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from itertools import accumulate
from operator import mul
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
STEPS = 1_000
FIRST = 10**12  # private keys begin behind it: no point meets a step

SITES = {name: f"https://{name}.example" for name in ("shop", "outlet", "garden", "kids")}
SITE_NAMES = tuple(SITES)
HOSTS = ("fcm.googleapis.com/fcm/send/", "updates.push.services.mozilla.com/wpush/v2/")
LANGUAGES = ("ar", "tr", "en")
_COUNTRIES = """
    TR SA AE EG DE GB US FR NL IQ KW QA BH OM JO LB MA DZ TN LY
    SE NO DK FI BE AT CH IT ES PT GR PL CZ HU RO BG IE CA AU IN
"""
COUNTRIES = _COUNTRIES.split()
ZONES = ("Europe/Istanbul", "Asia/Riyadh", "Asia/Dubai", "Africa/Cairo", "Europe/Berlin")
CITIES = ("Istanbul", "Riyadh", "Dubai", "Cairo", "Berlin", "Ankara", "London")
BROWSERS = ("Chrome", "Firefox")
SYSTEMS = ("Android", "Windows", "macOS", "Linux")
PRODUCTS = 500
YEAR_MINUTES = 365 * 1440
START = 1_735_689_600  # 2025-01-01, seconds


def write_people(path: Path, count: int, tell: Callable[[int], None], first: int = 0) -> None:
    """
    Write *count* subscribers from number *first* on as JSON lines.

    *tell* is called after each 100,000.

    Each is of one of 4 sites and 40 countries, reads one of 3 languages, has 3 tags and 3
    attributes. Every third is signed in. Seven of ten use FCM, the others Mozilla's service.
    """
    with path.open("w", encoding="ascii", buffering=1 << 20) as file:
        for number, point in enumerate(make_points(count, first)):
            file.write(_render(first + number, point))
            if number % 100_000 == 99_999:
                tell(number + 1)


def make_points(count: int, first: int = 0) -> Iterator[bytes]:
    """Yield *count* distinct points of P-256, uncompressed (65 bytes), from one on."""
    steps = [_multiply(number) for number in range(1, STEPS + 1)]
    for start in range(0, count, STEPS):
        points = _add_steps(_multiply(FIRST + (first + start) * 2), steps)
        # The library refuses a point that is none.
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), points[-1])
        yield from points[: count - start]


def _multiply(number: int) -> tuple[int, int]:
    made = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
    return made.x, made.y


def _add_steps(base: tuple[int, int], steps: list[tuple[int, int]]) -> list[bytes]:
    """Return *base* plus each of *steps*."""
    base_x, base_y = base
    apart = [(x - base_x) % PRIME for x, _ in steps]
    products = list(accumulate(apart, lambda one, other: mul(one, other) % PRIME))
    inverse = pow(products[-1], -1, PRIME)
    found = []
    for place in range(len(steps) - 1, -1, -1):
        own = inverse * products[place - 1] % PRIME if place else inverse
        inverse = inverse * apart[place] % PRIME
        x, y = steps[place]
        slope = (y - base_y) * own % PRIME
        x = (slope * slope - base_x - x) % PRIME
        y = (slope * (base_x - x) - base_y) % PRIME
        found.append(b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))
    return found


def _render(number: int, point: bytes) -> str:
    # Each quality has a period of its own, so that they go together in all ways.
    text = urlsafe_b64encode(os.urandom(123) + point).decode()
    endpoint, secret, key = text[:142], text[142:164], text[164:251]
    firefox = number % 10 > 6
    place = number * 7919 % 40
    since = START + number * 7919 % YEAR_MINUTES * 60
    alias = f'"alias":"customer-{number}",' if number % 3 == 0 else ""
    return (
        f'{{"endpoint":"https://{HOSTS[firefox]}{number:09}{endpoint}",'
        f'"keys":{{"p256dh":"{key}","auth":"{secret[:21]}A"}},{alias}'
        f'"site":"{SITE_NAMES[number % 4]}","language":"{LANGUAGES[number % 3]}",'
        f'"country":"{COUNTRIES[place]}","timezone":"{ZONES[place % 5]}",'
        f'"city":"{CITIES[place % 7]}","browser":"{BROWSERS[firefox]}",'
        f'"os":"{SYSTEMS[number // 3 % 4]}",'
        f'"subscribed_at":{since},"last_seen_at":{since + 3600},'
        f'"attributes":{{"first_name":"Name{number % 9973}","points":{number % 1000},'
        f'"size":"{"SML"[number % 3]}"}},'
        f'"tags":["Newsletter","Country {place}","Product {number % PRODUCTS}"]}}\n'
    )
