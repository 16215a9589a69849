"""The stages: what a component is handed, what it may return, and the event that records the outcome.

A stage never runs an effect. Where a component may be async, the shell calls it and hands the returned value
(or the failure) to the stage, which checks it and makes the event.
"""
