"""Bundles: one stage of a run as portable records, with everything that these rest on.

`records` says what a bundle holds, `collecting` makes records of a case's stored events, `merging` makes events of
records and says which of them a run may take. Reading and writing bundles is the business of `themis.api`.
"""
