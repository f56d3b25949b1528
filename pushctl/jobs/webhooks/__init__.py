"""What goes out to others: events to webhooks, and trigger steps on other channels."""
