"""Other push services: their exports, payloads and interfaces."""
