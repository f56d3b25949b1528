"""
The form of a backup: a compressed tar of plain files, sealed with age.

Nothing in it is ours: ``age -d -i KEY | tar xz`` opens it, too. ``tar`` has files and names,
``seal`` encryption; both work on streams, so memory stays small at any size.
"""
