"""Seals: a run's result in one file that a stranger can check, with as much of its data as is chosen.

`tree` has the hashes, `scores` how scores are written and added up, `records` what a seal states and what checking it
finds, `layout` the bytes of the file, `content` what of a run goes into it and whether that fits together, and
`disclosure` what of it is shown. Files and signatures are the business of `themis.api.bundles.seals` and
`themis.effects.signatures`. The format is told in docs/reference/seal-format.md: what changes here changes there.
"""
