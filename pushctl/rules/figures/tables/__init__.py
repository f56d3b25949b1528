"""The tables of figures, each declared once, named as their command."""
