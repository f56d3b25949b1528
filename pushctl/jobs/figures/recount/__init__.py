"""
Kept answers counted once more, from raw rows in plain Python, for ``stats --check``.

Nothing that is kept is read, and none of the code that counts tables: no columns, no pages, no
numpy. What rates and intervals are is said once, in ``rules/figures/``, for both counts. Which
message has brought about which order is taken as it is known.
"""
