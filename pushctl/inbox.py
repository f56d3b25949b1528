"""The inbox: append-only segments between the receiver and the program."""
