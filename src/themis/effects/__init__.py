"""The imperative shell, on trio: it calls models, runs sandboxes and writes stores.

It makes no decision that the core can make: it asks the core what is next, does it, and hands the outcome back.
"""
