"""
A desktop without a screen: a D-Bus session of its own and a notification service on it.

Both browsers hand their notifications to it and take its clicks for a person's
(freedesktop.org's notification specification 1.2).
"""

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.threading import DBusConnection, open_dbus_connection

from pushctl.demo.browsers import processes
from pushctl.demo.browsers.processes import BrowserError

_NAME = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
_DISMISSED, _CLOSED_BY_CALL = 2, 3
_CAPABILITIES = ["actions", "body", "body-markup", "icon-static", "persistence"]


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification that a browser asked the desktop to show."""

    id: int
    title: str
    body: str
    actions: Mapping[str, str]  # key -> label
    hints: Mapping[str, Any] = field(default_factory=dict)


class Desktop:
    """``with Desktop() as desktop:``; give ``desktop.bus`` to a browser."""

    def __init__(self) -> None:
        daemon = shutil.which("dbus-daemon")
        if daemon is None:
            raise BrowserError("dbus-daemon is not installed (Debian: apt install dbus-daemon)")
        self._folder = tempfile.TemporaryDirectory(prefix="pushctl-bus-")
        folder = Path(self._folder.name)
        self.bus = f"unix:path={folder / 'bus'}"
        self._shown: dict[int, Notification] = {}
        self._all: list[Notification] = []
        self._changed = threading.Condition()
        self._process = processes.spawn(
            [daemon, "--session", "--nofork", "--nopidfile", f"--address={self.bus}"],
            folder / "bus.log",
            {"PATH": "/usr/bin:/bin"},
        )
        self._connection = processes.wait_until(self._own_name, "D-Bus")
        self._thread = threading.Thread(target=self._serve, name="desktop", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        processes.end(self._process)
        self._thread.join(5)
        self._connection.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def notifications(self) -> list[Notification]:
        """The notifications on the screen now."""
        with self._changed:
            return list(self._shown.values())

    @property
    def history(self) -> list[Notification]:
        """Everything that was ever shown, oldest first; replaced ones too."""
        with self._changed:
            return list(self._all)

    def wait(self, title: str, patience: float = 10.0) -> Notification:
        """Return the notification called *title* once it is there."""

        def there() -> Notification | None:
            return next((one for one in self._shown.values() if one.title == title), None)

        with self._changed:
            if not self._changed.wait_for(there, patience):
                seen = ", ".join(repr(one.title) for one in self._shown.values())
                raise BrowserError(f"no notification called {title!r}; there are: {seen}")
            found = there()
            assert found is not None
            return found

    def click(self, notification: Notification, label: str | None = None) -> None:
        """Click *notification*, or its button called *label*; then it is gone."""
        keys = {text: key for key, text in notification.actions.items()}
        if label is not None and label not in keys:
            raise BrowserError(f"it has no button {label!r}, but {', '.join(keys)}")
        key = keys[label] if label else "default"
        self._signal("ActionInvoked", "us", (notification.id, key))
        self._gone(notification.id, _DISMISSED)

    def dismiss(self, notification: Notification) -> None:
        """Wave *notification* away without following it."""
        self._gone(notification.id, _DISMISSED)

    def _own_name(self) -> DBusConnection | None:
        try:
            connection = open_dbus_connection(self.bus)
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # not made yet, or made and not listened at
        connection.send(message_bus.RequestName(_NAME))
        while connection.receive(timeout=5).header.message_type != MessageType.method_return:
            pass
        return connection

    def _serve(self) -> None:
        try:
            while True:
                self._answer(self._connection.receive())
        except (ConnectionError, EOFError, OSError):
            return  # the bus ended

    def _answer(self, message: Message) -> None:
        if message.header.message_type != MessageType.method_call:
            return
        member = message.header.fields[HeaderFields.member]
        method = self._METHODS.get(member)
        if method is None:
            unknown = "org.freedesktop.DBus.Error.UnknownMethod"
            self._connection.send(new_error(message, unknown))
            return
        method(self, message)

    def _capabilities(self, message: Message) -> None:
        self._connection.send(new_method_return(message, "as", (_CAPABILITIES,)))

    def _information(self, message: Message) -> None:
        about = ("pushctl", "pushctl", "1", "1.2")
        self._connection.send(new_method_return(message, "ssss", about))

    def _notify(self, message: Message) -> None:
        _, replaces, _, title, body, actions, hints, _ = message.body
        with self._changed:
            number = replaces or len(self._all) + 1
            keys = dict(zip(actions[::2], actions[1::2], strict=True))
            shown = Notification(number, title, body, keys, hints)
            # The reply goes out before a test can see it and click: else the browser
            # would get a click on a notification that it doesn't know yet.
            self._connection.send(new_method_return(message, "u", (number,)))
            self._shown[number] = shown
            self._all.append(shown)
            self._changed.notify_all()

    def _close(self, message: Message) -> None:
        self._connection.send(new_method_return(message))
        self._gone(message.body[0], _CLOSED_BY_CALL)

    def _gone(self, number: int, reason: int) -> None:
        with self._changed:
            was_there = self._shown.pop(number, None)
            self._changed.notify_all()
        if was_there:
            self._signal("NotificationClosed", "uu", (number, reason))

    def _signal(self, name: str, signature: str, body: tuple[Any, ...]) -> None:
        emitter = DBusAddress(_PATH, interface=_NAME)
        self._connection.send(new_signal(emitter, name, signature, body))

    _METHODS: Mapping[str, Callable[["Desktop", Message], None]] = {
        "GetCapabilities": _capabilities,
        "GetServerInformation": _information,
        "Notify": _notify,
        "CloseNotification": _close,
    }
