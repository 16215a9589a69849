"""Reading and comparing text: pure functions that the builtin parsers and metrics are made of."""
