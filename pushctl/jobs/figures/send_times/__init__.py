"""The best time to send, from messages by the hour of the receiver's week."""
