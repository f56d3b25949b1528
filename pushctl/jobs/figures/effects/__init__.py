"""Control groups: who was drawn into which, what they bought, and the difference."""
