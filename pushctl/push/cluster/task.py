"""What a worker does for one ticket; Dask calls ``send_chunk`` by its name."""

import ssl
import threading
from importlib import import_module
from typing import Any

import pushctl
from pushctl.errors import ConfigError
from pushctl.push import chunk, clock
from pushctl.push.cluster import link, wire
from pushctl.push.cluster.link import Lease, Link, RefusedError
from pushctl.push.cluster.send_streamed import LeaseEndedError, StreamedChunk
from pushctl.push.cluster.wire import Kind, Ticket

# Keys and connections are kept from chunk to chunk, and for so long after the last.
IDLE_SECONDS = 60.0

_lock = threading.Lock()
_link: tuple[Ticket, Link] | None = None
_forgetting: threading.Timer | None = None


def send_chunk(ticket: Ticket) -> str:
    """
    Send the chunk that *ticket* stands for, unless it was taken; return what came of it.

    The result says nothing about letters: their outcomes went to the coordinator while the
    chunk was sent. Whatever runs this again finds the chunk taken, and sends nothing.
    """
    worker: Any = import_module("distributed").get_worker()
    context = worker.security.get_connection_args("worker")["ssl_context"]
    return send_as(str(worker.address), context, ticket)


def send_as(worker: str, context: ssl.SSLContext | None, ticket: Ticket) -> str:
    """Do ``send_chunk`` as the member *worker* of a cluster."""
    if ticket.version != pushctl.__version__:
        return f"refused: this worker has pushctl {pushctl.__version__}"
    with _lock:  # a process sends one chunk at a time, however many threads it has
        _keep()
        try:
            return _send(_open(worker, context, ticket), ticket)
        except RefusedError as error:
            return f"refused: {error}"
        except (OSError, EOFError, wire.BrokenFrameError, ConfigError) as error:
            _close()
            return f"failed: {error}"
        except BaseException:
            _close()
            raise
        finally:
            _forget_later()


def _send(connection: Link, ticket: Ticket) -> str:
    lease, asked_at = Lease(), clock.read_seconds()
    kind, body = connection.ask(Kind.TAKE, ticket.token.encode(), link.CONNECT_SECONDS)
    if kind is not Kind.GRANTED:
        return "taken"
    lease.grant(asked_at, *wire.SECONDS.unpack(body))
    try:
        with chunk.sending(connection.postbox) as sender:
            StreamedChunk(sender, connection, lease).send()
            connection.send(Kind.END)
            while not connection.flush() and not connection.lost and not lease.has_ended():
                connection.wait(0.25)
    except LeaseEndedError:
        _close()
        return "the lease ended"
    finally:
        lease.give_back()
    return "sent"


def _open(worker: str, context: ssl.SSLContext | None, ticket: Ticket) -> Link:
    """Return the connection to the coordinator of *ticket*."""
    global _link
    if _link is not None and _link[0].address == ticket.address and not _link[1].lost:
        return _link[1]
    _close()
    made = Link(link.connect(ticket, context), worker)
    _link = ticket, made
    return made


def _close() -> None:
    """Forget keys, and close every connection."""
    global _link
    if _link is not None:
        _link[1].close()
        _link = None
    chunk.close_sender()


def _keep() -> None:
    if _forgetting is not None:
        _forgetting.cancel()


def _forget_later() -> None:
    global _forgetting
    _forgetting = threading.Timer(IDLE_SECONDS, _forget)
    _forgetting.daemon = True
    _forgetting.start()


def _forget() -> None:
    with _lock:
        _close()
