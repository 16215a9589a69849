"""The simulation of early stops prints what the documentation shows; here a small part of it is run."""

from __future__ import annotations

from benchmarks import stopping_simulation as simulation


def test_peeking_is_wrong_far_more_often_than_what_may_be_looked_at() -> None:
    methods = [
        ("ours", True, simulation.sequential(0.8)),
        ("peeking", False, simulation.peeking(simulation.wilson, 0.8)),
    ]
    ours, naive = simulation.simulated(
        "a pass rate of 0.8", lambda rng: [float(rng.random() < 0.8) for _ in range(500)], methods, 100, 0
    )
    assert ours.passes + ours.fails <= 0.05
    assert naive.passes + naive.fails >= 0.1
    assert naive.cases < ours.cases <= 500


def test_every_setting_draws_as_many_scores_as_it_says() -> None:
    sizes = [1, 3, 2]
    decide = simulation.sequential(0.5, sizes=sizes)
    assert decide([1.0, 0.0, 1.0, 1.0, 0.0, 1.0]) == ("undecided", 6)
    assert simulation.allowed(400) < 0.05
