"""The views that people ask by `pushctl sql`, declared."""
