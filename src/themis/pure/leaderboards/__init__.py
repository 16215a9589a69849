"""Leaderboards: runs in rows, benchmarks and metrics in columns, an estimate in each cell; ties are shown as ties.

What lives here: records and pure functions of scores by case. It knows no store and no run's events.
"""
