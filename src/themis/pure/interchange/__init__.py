"""Answers that other tools made: one module per format, text and bytes in, records out, no I/O."""
