"""An HTTP server that knows no route: connections, requests, their turn, TLS."""
