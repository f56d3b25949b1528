"""Values that stand in for a cart, an event or a promo code which somebody hasn't got."""

from collections.abc import Mapping
from typing import Final

from pushctl.model import Json
from pushctl.templates import Text
from pushctl.templates.text import build_sample

# By the last part of a variable's name: ``event.price`` is "39.00".
SAMPLES: Final[Mapping[str, Json]] = {
    "alternative": "Steel lamp",
    "balance": "300",
    "better": "Brass lamp with dimmer",
    "brand": "Acme",
    "category": "Light",
    "count": 2,
    "currency": "EUR",
    "first_name": "Anna",
    "holiday": "Eid al-Fitr",
    "last_viewed": "Brass lamp",
    "line": "Lamps",
    "name": "Brass lamp",
    "news": [{"title": "Light for small rooms"}, {"title": "Brass and its care"}],
    "points": "120",
    "price": "39.00",
    "product": "Brass lamp",
    "promo": "SAMPLE10",
    "promotion": "Small brass lamp",
    "summary": "Five ways to light a small room.",
    "title": "Light for small rooms",
    "was": "49.00",
}


def make_samples(text: Text) -> dict[str, Json]:
    """Return a value for each variable that *text* reads; an unknown one is ‹its name›."""
    return build_sample(text, lambda name: SAMPLES.get(name, f"‹{name}›"))
