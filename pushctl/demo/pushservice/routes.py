"""Which service a request is for, and the token in its path. Pure."""

from pushctl.demo.pushservice import fcm
from pushctl.demo.pushservice.addresses import wns_token
from pushctl.demo.pushservice.exchange import Request

_MOZILLA = ("/wpush/v1/", "/wpush/v2/")


def route(request: Request) -> tuple[str, str]:
    """
    Return the name of the service and the token, both empty for a stranger's host.

    By host name; on a bare loopback host by path, so that an endpoint may also lie
    directly on 127.0.0.1.
    """
    service = _find_service(request.host.partition(":")[0], request.path)
    path = request.path
    tail = path.rpartition("/")[2]
    match service:
        case "mozilla":
            return service, tail if path.startswith(_MOZILLA) else ""
        case "fcm":
            return service, tail if path.startswith(fcm.PATHS) else ""
        case "wns":
            return service, (path.startswith("/w/?") and wns_token(path[4:])) or ""
    return service, path.removeprefix("/") if service else ""


def _find_service(host: str, path: str) -> str:
    if host in ("127.0.0.1", "localhost"):
        return _find_service_by_path(path)
    if host.endswith(".push.services.mozilla.com"):
        return "mozilla"
    if host in ("fcm.googleapis.com", "jmt17.google.com"):
        return "fcm"
    if host.endswith(".notify.windows.com"):
        return "wns"
    return "apple" if host.endswith(".push.apple.com") else ""


def _find_service_by_path(path: str) -> str:
    if path.startswith((*_MOZILLA, "/m/")):
        return "mozilla"
    if path.startswith(fcm.PATHS):
        return "fcm"
    return "wns" if path.startswith("/w/") else "apple"
