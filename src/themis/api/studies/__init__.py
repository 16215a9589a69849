"""Studies: many runs as one, made of a matrix, run together, and read together."""
