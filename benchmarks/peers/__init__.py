"""The same trivial evaluation with other packages, side by side."""
