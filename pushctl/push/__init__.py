"""Push services: VAPID, encryption, transport, and what their answers mean."""
