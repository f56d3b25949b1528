"""What may keep a campaign from being sent: another user's approval, a restored database."""
