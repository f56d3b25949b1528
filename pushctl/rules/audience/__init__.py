"""Audiences: the language of expressions, and what each of them means."""
