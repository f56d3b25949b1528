"""Settings that several kinds of sources share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pushctl.model import Json
from pushctl.rules.shops import payload
from pushctl.rules.shops.told import Clues

CUSTOMER_ID = "customer_id"


def _check_alias(value: str) -> tuple[str, str] | None:
    if value == CUSTOMER_ID:
        return None
    text = f"is {value!r}"
    return text, f'Write "{CUSTOMER_ID}" if your pages identify people by it, or leave it out.'


@dataclass(frozen=True)
class PeopleOptions:
    """How a source's customers are recognised, besides our script's key."""

    # "customer_id": it is what the pages call identify() with
    alias: str | None = field(default=None, metadata={"check": _check_alias})
    # by the hash of their e-mail address
    email: bool = True

    def make_clues(
        self,
        cart_key: str | None,
        customer: Json,
        address: Json,
        email: Callable[[str], str | None],
    ) -> Clues:
        """Return what may tell whose an order is; of the *address* only its hash."""
        return Clues(
            cart_key=cart_key,
            alias=payload.read_alias(customer) if self.alias == CUSTOMER_ID else None,
            email_hash=payload.hash_email(address, email) if self.email else None,
        )
