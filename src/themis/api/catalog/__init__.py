"""What ships with Themis by name: benchmarks, their data and their checks, and the builtin components."""
