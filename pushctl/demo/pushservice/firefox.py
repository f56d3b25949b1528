"""
Firefox's side of autopush: JSON over a WebSocket (PushServiceWebSocket.sys.mjs, 153).

hello, register, unregister, notification, ack and nack; ``{}`` is ping and pong. Only
the encryption's name reaches the browser of what the sender's headers said.
"""

import asyncio
import base64
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pushctl.demo.pushservice.addresses import key_hash
from pushctl.demo.pushservice.broker import Broker
from pushctl.demo.pushservice.exchange import Address, Message
from pushctl.rules.tokens import decode

Json = dict[str, Any]
# Sends one message to the browser, or drops it when the connection is closed.
Send = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """
    What Firefox says of a message.

    100 delivered to the worker, 101 not decrypted, 102 not delivered; 301 the worker
    threw, 302 its promise failed, 303 Firefox's own trouble.
    """

    message_id: str
    code: int


class Firefox:
    """All Firefoxes; ``websocket.serve_firefox`` brings their messages."""

    def __init__(self, broker: Broker, endpoint: Callable[[Address], str]) -> None:
        self._broker = broker
        self._endpoint = endpoint
        self.acknowledged: list[Acknowledgement] = []

    def open_session(self, send: Send) -> "Session":
        return Session(send, self._broker, self._endpoint, self.acknowledged)


class Session:
    """One connection of one Firefox; call ``leave`` when it is closed."""

    def __init__(
        self,
        send: Send,
        broker: Broker,
        endpoint: Callable[[Address], str],
        acknowledged: list[Acknowledgement],
    ) -> None:
        self._send = send
        self._broker = broker
        self._endpoint = endpoint
        self._acknowledged = acknowledged
        self._uaid = ""
        self._outbox: set[asyncio.Task[None]] = set()

    async def handle(self, text: str | bytes) -> None:
        """Answer one message of the browser."""
        said = json.loads(text)
        match said.get("messageType"):
            case "hello":
                await self._hello(said)
            case "register":
                await self._register(said)
            case "unregister":
                self._unregister(said)
                await self._say({**_reply(said), "channelID": said["channelID"]})
            case "ack":
                for update in said.get("updates", []):
                    self._done(update)
            case "nack":
                self._done(said)
            case None if not said:
                await self._say({})

    def leave(self) -> None:
        self._broker.disconnect(self._uaid, self._deliver)

    async def _hello(self, said: Json) -> None:
        # Any well-formed uaid is taken: another one in the reply would make Firefox
        # drop all its subscriptions, and ours are forgotten at a restart.
        try:
            self._uaid = uuid.UUID(said.get("uaid", "")).hex
        except ValueError:
            self._uaid = uuid.uuid4().hex
        await self._say(
            {**_reply(said), "uaid": self._uaid, "use_webpush": True, "broadcasts": {}}
        )
        self._broker.connect(self._uaid, self._deliver)

    async def _register(self, said: Json) -> None:
        address = self._address(said)
        endpoint = self._endpoint(address)
        await self._say(
            {**_reply(said), "channelID": said["channelID"], "pushEndpoint": endpoint}
        )

    def _unregister(self, said: Json) -> None:
        self._broker.end_channel(self._uaid, said["channelID"])

    def _address(self, said: Json) -> Address:
        key = said.get("key")
        hashed = key_hash(decode(key)) if key else ""
        return Address("mozilla", self._uaid, said["channelID"], hashed)

    def _done(self, update: Mapping[str, Any]) -> None:
        self._acknowledged.append(Acknowledgement(update["version"], update.get("code", 0)))
        self._broker.done(self._uaid, update["version"])

    def _deliver(self, message: Message) -> bool:
        said: Json = {
            "messageType": "notification",
            "channelID": message.address.channel,
            "version": message.id,
        }
        if message.body:
            said["data"] = base64.urlsafe_b64encode(message.body).decode().rstrip("=")
            said["headers"] = {"encoding": message.encoding}
        task = asyncio.get_running_loop().create_task(self._say(said))
        self._outbox.add(task)
        task.add_done_callback(self._outbox.discard)
        return True

    async def _say(self, said: Json) -> None:
        await self._send(json.dumps(said))


def _reply(said: Json) -> Json:
    return {"messageType": said["messageType"], "status": 200}
