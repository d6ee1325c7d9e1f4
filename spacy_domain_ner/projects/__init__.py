"""Making a project from the template and the packs, and keeping it up to date.

`answers`, `packs` and `record` need nothing beyond Python itself: the template's hooks import them from the clone, when
this package need not be installed.
"""
