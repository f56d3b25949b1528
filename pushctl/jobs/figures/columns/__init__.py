"""Rows of the database as columns of numpy, and the counts of campaigns; both are kept."""
