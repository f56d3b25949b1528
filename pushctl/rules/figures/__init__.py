"""The figures that pushctl counts, each declared once."""
