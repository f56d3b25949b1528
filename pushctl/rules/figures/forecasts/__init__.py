"""What is to be expected: of a broadcast, of a first year, by published cases."""
