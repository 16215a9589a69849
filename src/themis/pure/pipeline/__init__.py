"""What a run does: one program per stage, the table of the stages, and what programs may ask for.

A program is a pure generator: it yields what it needs (`effects.py`) and returns its event. It is written once and
driven by whoever needs it: the engine calls models, `recorded.py` answers from what is stored, planning looks at the
first thing asked, a test answers by hand. A program knows no store, no clock but the one it is handed, no network.
"""
