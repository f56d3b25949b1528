"""Which message an order belongs to, and sums and intervals of revenue."""
