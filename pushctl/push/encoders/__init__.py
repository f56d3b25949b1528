"""The encoders: each turns letters into bodies of the one form that RFC 8291 allows."""
