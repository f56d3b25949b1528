"""The tables of `pushctl stats` and `pushctl orders`, one file for each."""
