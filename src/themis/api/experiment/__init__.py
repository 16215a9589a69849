"""What to evaluate and how: compiling, planning, running, replaying and verifying an experiment."""
