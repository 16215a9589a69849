"""Config files: an experiment as one record, read with every fault at once, written, and described by a schema.

`record` has the whole file: what a key is called, takes and means is said there alone, and `keys` asks it, for `read`,
`write` and `schema`. `files` knows YAML, TOML, JSON and overrides, `themis.api.references` the environment. Nothing
here knows `Experiment`: it is such a record, and hands itself in.
"""
