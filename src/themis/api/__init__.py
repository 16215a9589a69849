"""The composition root and the public verbs: where the pure core and the shell are put together."""
