"""
Take messages back that a push service still keeps (RFC 8030, section 7.2).

Only Mozilla's deletes what it stored: ``DELETE`` of a message's Location. The others
answer with a Location too, and know no such request.
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


def possible(location: str, postbox: Postbox) -> bool:
    """Say whether the message stored at *location* can be asked back."""
    try:
        origin = endpoints.origin(location, postbox.allowed_hosts)
    except InputError:
        return False
    return answers.service(origin.removeprefix("https://").partition(":")[0]) == "mozilla"


def recall(messages: Iterable[tuple[int, str]], postbox: Postbox) -> Iterator[tuple[int, int]]:
    """
    Delete stored messages, (delivery, location) each; yield (delivery, status).

    2xx: it was deleted; 404: it was fetched or has expired; 0: no answer came. Locations
    that aren't ``possible`` are left out.
    """
    transport = Transport(postbox)
    transport.options.append((pycurl.CUSTOMREQUEST, "DELETE"))
    waiting = deque(it for it in messages if possible(it[1], postbox))
    try:
        while waiting or transport.flying:
            while waiting and transport.flying < 100:
                delivery, location = waiting.popleft()
                letter = Letter(delivery, location, b"", b"", "", b"", 0, "", None)
                line = transport.line(endpoints.origin(location, postbox.allowed_hosts))
                transport.start(line, letter, _HEAD, b"")
            for reply in transport.pump(0.25):
                yield reply.letter.delivery, reply.status
    finally:
        transport.close()
