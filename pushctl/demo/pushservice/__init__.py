"""
An embedded push service for tests and the demo; it checks like the real ones.

    with PushService(folder) as service:
        endpoint = service.subscribe("mozilla", public_key)
        waiting = service.deliveries()
        ...
        message = waiting.get(timeout=5)
"""

from pushctl.demo.pushservice.exchange import Message
from pushctl.demo.pushservice.firefox import Acknowledgement
from pushctl.demo.pushservice.servers import Ports
from pushctl.demo.pushservice.service import PushService
from pushctl.demo.pushservice.sink import Receipt

__all__ = ["Acknowledgement", "Message", "Ports", "PushService", "Receipt"]
