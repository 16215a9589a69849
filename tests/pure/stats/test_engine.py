"""The engine over score tables: metrics, missing rows, families, content, clusters, and the cost of it all."""

from __future__ import annotations

import random
import subprocess
import sys

import attrs
import pytest

from themis.pure.errors import DataError
from themis.pure.stats import StatsEngine
from themis.pure.stats.power import PairedDesign
from themis.pure.stats.records import RunComparison


@attrs.frozen(kw_only=True)
class Row:
    case_key: str
    value: float | None
    metric_id: str = "accuracy"
    dataset_id: str = "d"
    outcome: str = "correct"
    error_category: str | None = None


def table(values: list[float | None], metric_id: str = "accuracy", prefix: str = "c") -> list[Row]:
    return [
        Row(
            case_key=f"{prefix}{index}",
            value=value,
            metric_id=metric_id,
            outcome="error" if value is None else "correct" if value >= 1 else "incorrect",
            error_category="parse_failure" if value is None else None,
        )
        for index, value in enumerate(values)
    ]


def coin(seed: int, size: int, chance: float = 0.5) -> list[float | None]:
    rng = random.Random(seed)
    return [float(rng.random() < chance) for _ in range(size)]


def test_each_metric_gets_its_estimate() -> None:
    rows = table([1.0, 0.0, None, 1.0]) + table([0.2, 0.7, 0.4, 0.9], "f1")
    estimates = StatsEngine().aggregate(rows, planned={"f1": 6})
    assert list(estimates) == ["accuracy", "f1"]
    accuracy, f1 = estimates.values()
    assert (accuracy.planned, accuracy.scored, accuracy.missing) == (4, 3, 1)
    assert accuracy.missing_by_category == {"parse_failure": 1}
    assert (accuracy.interval.method, f1.interval.method) == ("Wilson score", "Student t")
    assert (f1.planned, f1.missing, f1.missing_by_category) == (6, 2, {"no_row": 2})
    assert StatsEngine().aggregate([]) == {}


def test_each_metric_gets_its_groups() -> None:
    rows = table([1.0, 0.0, None, 1.0]) + table([0.2, 0.7, 0.4, 0.9], "f1")
    found = StatsEngine(level=0.9).by_group(rows, {"c0": "a", "c1": "a", "c2": "b"}, by="topic")
    assert list(found) == ["accuracy", "f1"]
    accuracy = found["accuracy"]
    assert [(g.name, g.estimate.planned, g.estimate.scored) for g in accuracy.groups] == [
        ("a", 2, 2),
        ("b", 1, 0),
        (None, 1, 1),
    ]
    assert accuracy["b"].missing_by_category == {"parse_failure": 1}
    assert (accuracy.by, accuracy.macro.interval.level) == ("topic", 0.9)
    assert accuracy.micro == StatsEngine(level=0.9).aggregate(rows)["accuracy"]


def test_an_error_is_missing_even_if_a_value_stands_in_the_row() -> None:
    rows = [Row(case_key="a", value=0.0, outcome="error"), Row(case_key="b", value=1.0)]
    estimate = StatsEngine().aggregate(rows)["accuracy"]
    assert (estimate.mean, estimate.scored, estimate.missing) == (1.0, 1, 1)


def test_samples_of_a_case_are_clusters_and_named_clusters_go_first() -> None:
    rows = table(coin(1, 60)) + table(coin(2, 60)) + table(coin(3, 60))
    by_case = StatsEngine().aggregate(rows)["accuracy"]
    assert by_case.clusters == 60
    named = StatsEngine().aggregate(rows, clusters={f"c{i}": f"topic{i % 25}" for i in range(59)})["accuracy"]
    assert named.clusters == 26
    assert StatsEngine().aggregate(table(coin(1, 60)))["accuracy"].clusters is None
    cr2 = StatsEngine(correction="CR2").aggregate(rows)["accuracy"]
    assert "CR2" in cr2.interval.method


def test_order_of_rows_and_seed() -> None:
    rng = random.Random(1)
    a = table([rng.random() for _ in range(50)], "f1")
    b = table([rng.random() for _ in range(50)], "f1")
    engine = StatsEngine(seed=4)
    first = engine.paired_compare(a, b)
    rng.shuffle(a)
    rng.shuffle(b)
    assert engine.paired_compare(a, b) == first
    assert StatsEngine(seed=5).paired_compare(a, b).comparisons[0].test != first.comparisons[0].test
    assert RunComparison.from_dict(first.to_dict()) == first


def test_runs_are_compared_on_all_shared_metrics_as_one_family() -> None:
    a = table(coin(1, 80)) + table(coin(2, 80), "strict") + table(coin(3, 80), "old")
    b = table(coin(4, 80, 0.8)) + table(coin(5, 80), "strict") + table(coin(6, 80), "new")
    compared = StatsEngine().paired_compare(a, b, label_a="base", label_b="tuned")
    assert [each.metric_id for each in compared.comparisons] == ["accuracy", "strict"]
    assert (compared.metrics_only_a, compared.metrics_only_b) == (("old",), ("new",))
    for each in compared.comparisons:
        assert each.family_size == 2
        assert each.test.p_value is not None
        assert each.p_holm is not None
        assert each.p_holm >= each.test.p_value
        assert (each.label_a, each.label_b) == ("base", "tuned")
    alone = StatsEngine().paired_compare(a, b, metrics=["accuracy"]).comparisons[0]
    assert alone.p_holm == alone.test.p_value == compared.comparisons[0].test.p_value
    with pytest.raises(DataError, match="nonsense"):
        StatsEngine().paired_compare(a, b, metrics=["nonsense"])


def test_cases_of_other_content_are_listed_and_left_out() -> None:
    a, b = table(coin(1, 10)), table(coin(2, 11))[1:]
    content_a = {f"c{i}": f"hash{i}" for i in range(10)}
    content_b = {f"c{i}": f"hash{i}" for i in range(1, 11)} | {"c3": "other", "c5": "other"}
    compared = StatsEngine().paired_compare(a, b, content_a=content_a, content_b=content_b)
    assert compared.content_checked
    assert compared.removed == ("c0",)
    assert compared.added == ("c10",)
    assert compared.changed == ("c3", "c5")
    assert (compared.comparisons[0].pairs, compared.comparisons[0].changed) == (7, 2)
    unchecked = StatsEngine().paired_compare(a, b)
    assert (unchecked.content_checked, unchecked.added, unchecked.removed) == (False, ("c10",), ("c0",))
    assert unchecked.comparisons[0].pairs == 9


def test_the_same_case_id_in_two_datasets_is_two_cases() -> None:
    a = table([1.0, 0.0], prefix="d1/") + table([0.0, 0.0], prefix="d2/")
    b = table([1.0, 1.0], prefix="d1/") + table([1.0, 0.0], prefix="d2/")
    compared = StatsEngine().paired_compare(a, b).comparisons[0]
    assert (compared.pairs, compared.wins, compared.ties) == (4, 2, 2)


def test_pass_at_k_over_cases_and_their_samples() -> None:
    rows = [Row(case_key=case, value=value) for case in "ab" for value in (1.0, 0.0, 1.0)]
    rows += [Row(case_key="c", value=0.0), Row(case_key="c", value=None, outcome="error")]
    engine = StatsEngine()
    at2, hat2 = engine.pass_at_k(rows, 2), engine.pass_hat_k(rows, 2)
    assert (at2.metric_id, at2.mean) == ("pass@2", 1.0)
    assert hat2.mean == pytest.approx(2 / 9)  # one wrong sample decides case c
    assert (at2.planned, at2.scored, at2.missing) == (3, 2, 1)
    assert at2.if_missing_wrong == pytest.approx(2 / 3)
    assert at2.if_missing_right == pytest.approx(1.0)
    assert engine.pass_at_k(rows, 9).mean is None
    with pytest.raises(DataError, match="name one metric"):
        engine.pass_at_k(rows + table([1.0], "f1"), 1)
    assert engine.pass_at_k(rows + table([0.6], "f1"), 1, metric_id="f1", threshold=0.5).mean == 1.0


def test_agreement_power_and_the_rest_pass_their_arguments_on() -> None:
    engine = StatsEngine(level=0.9)
    ratings = [[1, 2, 3, 3, 2], [1, 2, 3, 2, 2]]
    for coefficient in ("raw", "cohen", "fleiss", "krippendorff"):
        result = engine.agreement(ratings, coefficient=coefficient)
        assert result.value is not None
        assert result.interval.level == 0.9
    with pytest.raises(DataError, match="two raters"):
        engine.agreement([*ratings, ratings[0]], coefficient="cohen")
    design = PairedDesign(cases=100, between_variance=0.25)
    effect = engine.minimum_detectable_effect(design)
    assert effect is not None
    assert engine.paired_power(design, effect) == pytest.approx(0.8)
    assert engine.cases_needed(design, effect) in (100, 101)
    compared = engine.paired_compare(table(coin(1, 50)), table(coin(2, 50))).comparisons[0]
    assert compared.alpha == 0.1
    assert engine.equivalence(compared, margin=0.5).alpha == 0.1
    assert engine.adjust([compared, compared])[0].family_size == 2
    assert engine.unpaired_compare([1.0, 0.0], [0.0, 1.0, 1.0]).interval.level == 0.9
    assert engine.bootstrap([1.0, 2.0, 5.0], max).level == 0.9
    assert engine.describe_skewed([1.0, 2.0, 5.0], name="cost").mean_interval.level == 0.9


@pytest.mark.parametrize(("level", "power"), [(1.5, 0.8), (0.0, 0.8), (0.95, 1.0), (0.95, 0.01)])
def test_settings_that_make_no_sense_are_refused(level: float, power: float) -> None:
    with pytest.raises(DataError, match=r"StatsEngine: (level|power) is"):
        StatsEngine(level=level, power=power)


def test_the_import_needs_no_numerical_library() -> None:
    code = (
        "import sys, themis.pure.stats; "
        "print(sorted({'numpy', 'scipy', 'trio', 'httpx', 'httpx2', 'sqlite3', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


EVERYTHING = """
import random
from themis.pure.stats import (
    PairedMethod, StatsEngine, describe_skewed, estimate_mean, estimate_pass_at_k, krippendorff_alpha, paired_compare,
    percentile_bootstrap, sign_flip_test,
)
rng = random.Random(2)
values = [rng.lognormvariate(0, 1) for _ in range(300)]
other = [value + rng.gauss(0.1, 1) for value in values]
groups = [index // 7 for index in range(300)]
a, b = ([(f"c{i}", value) for i, value in enumerate(column)] for column in (values, other))
named = {f"c{i}": f"g{group}" for i, group in enumerate(groups)}
print([
    repr(result.to_dict())
    for result in (
        describe_skewed(values, seed=3),
        describe_skewed(values, clusters=groups, seed=3),
        percentile_bootstrap(values, max, resamples=99, seed=3),
        estimate_mean(values, clusters=groups, correction="CR2"),
        paired_compare(a, b, method=PairedMethod(seed=3)),
        paired_compare(a, b, clusters=named, method=PairedMethod(seed=3)),
        sign_flip_test(values, seed=3),
        estimate_pass_at_k([(10, 3), (10, 7), (8, 0)], 2),
        krippendorff_alpha([groups, [group // 2 for group in groups]], scale="interval"),
    )
])
"""

HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "scipy"):
            raise ModuleNotFoundError(f"{name} is hidden", name=name)
sys.meta_path.insert(0, Hidden())
"""


def test_a_seed_gives_the_same_figures_where_numpy_and_scipy_are_missing() -> None:
    pytest.importorskip("numpy", reason="compares the two paths")
    seen = "import sys; print('numpy' in sys.modules)"
    outputs = []
    for start, found in ((HIDDEN, "False"), ("", "True")):
        code = f"{start}\n{EVERYTHING}\n{seen}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        figures, _, with_numpy = done.stdout.strip().rpartition("\n")
        assert with_numpy == found
        outputs.append(figures)
    assert outputs[0] == outputs[1]
    assert "studentised bootstrap" in outputs[0]


def test_datasets_are_strata_of_the_macro_average() -> None:
    @attrs.frozen
    class InDataset:
        case_key: str
        dataset_id: str
        value: float | None
        metric_id: str = "m"
        outcome: str = "correct"
        error_category: str | None = None

    rows = [InDataset(f"a{i}", "easy", 1.0 if i else 0.0) for i in range(20)]
    rows += [InDataset(f"b{i}", "hard", float(i % 2)) for i in range(4)]
    found = StatsEngine().by_dataset(rows)["m"]
    assert found.by == "dataset"
    assert [(group.name, group.estimate.scored) for group in found.groups] == [("easy", 20), ("hard", 4)]
    assert found.macro.mean == pytest.approx((0.95 + 0.5) / 2)
    assert found.micro.mean == pytest.approx(21 / 24)
    errors = [group.estimate.standard_error or 0.0 for group in found.groups]
    assert found.macro.standard_error == pytest.approx((errors[0] ** 2 + errors[1] ** 2) ** 0.5 / 2)
