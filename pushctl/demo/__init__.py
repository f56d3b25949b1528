"""pushctl demo: an embedded push service, a shop and its visitors on one machine."""
