"""What went out and what it brought, as one page for whoever does not type commands."""
