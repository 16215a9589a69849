"""Bundles: a stage of a run as one portable document. Header, snapshot, events; nothing is told in other words.

`records` says what a bundle is, and what it looks like as plain data; `holding` has the table of what an event stands
for, and picks a case's events for an export; `merging` says which of a bundle's events a run lacks, and which of them
do not fit it. Reading and writing bundles is the business of `themis.api.bundles`.
"""
