"""The report, live, on this machine alone."""
