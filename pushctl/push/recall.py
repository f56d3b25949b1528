"""
Recall messages that a push service still stores: DELETE their Location (RFC 8030, 7.2).

Only Mozilla's does so; the others return a Location too and refuse the request.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import pycurl

from pushctl.errors import InputError
from pushctl.model import Letter
from pushctl.push.postbox import Postbox
from pushctl.push.transport import Transport
from pushctl.rules.delivery import answers, endpoints

_HEAD = ("Accept-Encoding: identity", "Content-Type:", "Expect:")


def can_recall(location: str, postbox: Postbox) -> bool:
    """Return whether the message stored at *location* can be recalled."""
    try:
        origin = endpoints.origin(location, postbox.allowed_hosts)
    except InputError:
        return False
    return answers.service(origin.removeprefix("https://").partition(":")[0]) == "mozilla"


def recall(messages: Iterable[tuple[int, str]], postbox: Postbox) -> Iterator[tuple[int, int]]:
    """
    Delete stored messages, (delivery, location) each; yield (delivery, status).

    2xx: it was deleted; 404: it was fetched or has expired; 0: no answer came. Messages
    that can't be recalled are left out.
    """
    transport = Transport(postbox)
    transport.options.append((pycurl.CUSTOMREQUEST, "DELETE"))
    waiting = deque(it for it in messages if can_recall(it[1], postbox))
    try:
        while waiting or transport.in_flight:
            while waiting and transport.in_flight < 100:
                delivery, location = waiting.popleft()
                letter = Letter(delivery, location, b"", b"", "", b"", 0, "", None)
                line = transport.line(endpoints.origin(location, postbox.allowed_hosts))
                transport.start(line, letter, _HEAD, b"")
            for reply in transport.pump(0.25):
                yield reply.letter.delivery, reply.status
    finally:
        transport.close()
