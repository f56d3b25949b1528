"""What shops tell: baskets."""
