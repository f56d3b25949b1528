"""From claimed rows to letters."""
