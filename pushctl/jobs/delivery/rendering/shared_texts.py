"""One text on one site: rendered once for all receivers for whom it comes out the same."""

import re
import secrets
from collections.abc import Callable, Hashable, Mapping
from operator import attrgetter

import orjson

from pushctl.errors import InputError, PushctlError
from pushctl.model import Json, Worker
from pushctl.rules.limits import MAX_VALUE_CHARACTERS
from pushctl.rules.messages import payload, values
from pushctl.rules.messages.json_templates import JsonTemplate
from pushctl.rules.messages.payload import Frame
from pushctl.rules.vendors import onesignal_worker
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Text

MAX_FRAMES = 5_000  # kept for one text: where all differ they would fill the memory

# Stands for the promo code where the rest is the same for many; new in each process.
_STAND_IN = f"c{secrets.token_hex(15)}"

# Stand for values that a text only shows (templates/shown). A text from right to left marks
# what is not ASCII in another way (templates/plain): so there are two.
_NONCE = secrets.token_hex(8)
_STARTS = {True: f"s{_NONCE}n", False: f"\u00e9{_NONCE}n"}
_MARKS = re.compile(f"(?:{_STARTS[True]}|{_STARTS[False]})([0-9]+)n".encode())


class Renderings:
    """The last renderings of a text, by the values that make the difference."""

    def __init__(
        self, text: Text, site: Mapping[str, Json], shared: Mapping[str, Json]
    ) -> None:
        self.text = text
        self._site = site
        self._shared = shared
        self._used = text.variables
        self._frames: dict[Hashable, JsonTemplate | Frame] = {}
        self._asked = self._known = 0  # how often a rendering was looked for, and found
        fields = [
            _FIELDS.get(name, name)
            for it in sorted(self._used)
            if (name := it.removeprefix("subscriber.")) != it
        ]
        self._plain: Callable[[ClaimedRow], Hashable] | None = None
        if "subscriber" in self._used:
            self._plain = attrgetter("public_id")
        elif fields:
            self._plain = attrgetter(*fields)
        self._personal = text.personal
        self._attributes = [
            (tuple(it.split(".")[1:]), it in text.shown)
            for it in sorted(self._used)
            if it.startswith("attributes")
        ]
        # From right to left a number has no direction of its own.
        self._isolates = text.dir == "rtl"
        self._fits = True  # whether what stands for values is short enough

    def frame(self, row: ClaimedRow, extra: Mapping[str, Json] | None) -> Frame:
        """Return the message for *row*, rendered before where possible."""
        if extra is not None:
            code = extra.get("promo")
            if code is None or len(extra) > 1 or not self._takes_code(row, code):
                return self._render(row, {**self._shared, **extra})
            return self._put_in(row, code)
        return self._find_frame(row, self._shared)

    def _put_in(self, row: ClaimedRow, code: str) -> Frame:
        """Return the message with *code* where another's stood, in its thanks too."""
        try:
            made = self._find_frame(row, {**self._shared, "promo": _STAND_IN})
        except InputError:  # it is longer than most codes
            return self._render(row, {**self._shared, "promo": code})
        head, tail = (it.replace(_STAND_IN.encode(), code.encode()) for it in made[:2])
        return payload.check_size(made._replace(head=head, tail=tail))

    def _takes_code(self, row: ClaimedRow, code: Json) -> bool:
        """Return whether a code can be put into a message that was rendered for another."""
        plain = isinstance(code, str) and code.isascii() and code.isalnum()
        return plain and self.text.shows_code and not row.small_payload and row.worker is None

    def _find_frame(self, row: ClaimedRow, shared: Mapping[str, Json]) -> Frame:
        if self._asked > MAX_FRAMES and self._known * 20 < self._asked:
            return self._render(row, shared)  # hardly any two are equal
        key, shown = self._sort_values(row)
        frame = self._frames.get(key)
        self._asked += 1
        if frame is not None:
            self._known += 1
        else:
            frame = self._make_skeleton(row, shared, key) if shown else None
            frame = frame or self._render(row, shared)
            if shown and isinstance(frame, Frame):
                return frame  # of this row alone
            if len(self._frames) >= MAX_FRAMES:
                self._frames.clear()
            self._frames[key] = frame
        if isinstance(frame, Frame):
            return frame
        return payload.check_size(frame.fill([orjson.dumps(it)[1:-1] for it in shown]))

    def _sort_values(self, row: ClaimedRow) -> tuple[tuple[Hashable, ...], list[str]]:
        """
        Return what makes *row*'s message another than others', and the values put into it.

        These are in the key by whether they are ASCII.
        """
        if not self._personal:
            return (row.small_payload, row.worker), []
        key: list[Hashable] = [row.small_payload, row.worker]
        if self._plain is not None:
            key.append(self._plain(row))
        shown: list[str] = []
        if self._attributes:
            # What is cut to a size, or takes another form, is rendered as a whole.
            fills = self._fits and not row.small_payload and row.worker is None
            known = orjson.loads(row.attributes)
            for path, is_shown in self._attributes:
                value: Json = known
                for name in path:
                    value = value.get(name) if isinstance(value, dict) else None
                if is_shown and fills and type(value) is str and self._is_plain(value):
                    key.append(value.isascii())
                    shown.append(value)
                else:
                    # 1, 1.0 and True are equal in Python and written differently.
                    key.append(repr(value))
        return tuple(key), shown

    def _is_plain(self, value: str) -> bool:
        """Return whether *value* is written as it is, wherever it stands."""
        return (
            0 < len(value) <= MAX_VALUE_CHARACTERS
            and value.isprintable()  # so the only white space in it are spaces
            and "&" not in value
            and (" " not in value or value == " ".join(value.split()))
            and not (self._isolates and value[0].isdigit())
        )

    def _make_skeleton(
        self, row: ClaimedRow, shared: Mapping[str, Json], key: tuple[Hashable, ...]
    ) -> JsonTemplate | None:
        """Return *row*'s message with gaps for the values that it shows; None: it has none."""
        marked = orjson.loads(row.attributes)
        number = 0
        # The key begins with what is no attribute.
        for (path, _), found in zip(
            self._attributes, key[-len(self._attributes) :], strict=True
        ):
            if isinstance(found, bool):
                marked[path[0]] = f"{_STARTS[found]}{number}n"
                number += 1
        try:
            made = self._render(_replace_attributes(row, orjson.dumps(marked).decode()), shared)
        except InputError:
            self._fits = False  # with a shorter value it may be short enough
            return None
        except PushctlError:
            return None  # its own rendering has the reason
        return JsonTemplate.cut(made, _MARKS)

    def _render(self, row: ClaimedRow, extra: Mapping[str, Json]) -> Frame:
        context = values.context(row, self._site, self._used, extra)
        if row.worker == Worker.ONESIGNAL:
            return onesignal_worker.frame(self.text.render(context), small=row.small_payload)
        if row.small_payload:
            return payload.frame(payload.fit(self.text.render(context)))
        return self.text.render_frame(context)


_FIELDS = {"id": "public_id"}  # templates' names -> rows' names


def _replace_attributes(row: ClaimedRow, attributes: str) -> ClaimedRow:
    """As ``_replace``, which a row of a brief claim is too short for."""
    at = ClaimedRow._fields.index("attributes")
    return tuple.__new__(ClaimedRow, (*row[:at], attributes, *row[at + 1 :]))
