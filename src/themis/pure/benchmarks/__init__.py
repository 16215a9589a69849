"""The catalog's benchmarks: recipes that turn the rows of public datasets into cases.

What lives here: which column means what, the functions from a row to a case, prompts, the parser, metric and judge
that belong to them, and made rows to check all of it with. Nothing here reads a file or knows where rows come from.
"""
