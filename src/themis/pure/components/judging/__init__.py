"""The builtin judges: what is asked, how the question is guarded, and how a verdict is read.

Rules that hold for all of them: what a candidate wrote is fenced; a verdict that can't be read is an error of that
judgment and never a score; scores are 0 to 1.
"""
