"""Messages in groups: by country, topic, hour and the like."""
