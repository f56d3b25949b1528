"""One file per command or noun: parse, call one job, print."""
