"""The model of large runs: it finds what it was made of, and its limits move the right way."""

from dataclasses import replace

import pytest

from benchmarks.scale_measured import Committed, Observed
from benchmarks.scale_model import Cluster, Commit, Costs, Prices, Step, Work, plan, register_limit, wave_limit
from benchmarks.simulate import STEPS, check, costs_of

TRUE = Costs(
    **{name: Step(0.2, 1e-5) for name in STEPS if name != "pairs"},
    pairs=Step(0.1, 2e-6, 3e-12),
    commit=Commit(0.0, 0.004, 0.0001, 1e-8),
    sample_cpu_s=0.002,
    lake_bytes=300.0,
)
WORK = Work(1_000_000_000, 120_000, 3, 0.05, 150.0)
PRICES = Prices(0.04, 0.023, 0.0004, 0.005)


def lake(samples: int) -> Observed:
    commits = tuple(Committed(20, n, n * samples // 400, TRUE.commit(20, n, n * samples // 400)) for n in range(0, 400, 20))
    return Observed(samples, **{name: getattr(TRUE, name)(samples) for name in STEPS}, commits=commits, lake_bytes=300 * samples)


def test_unit_costs_are_found_and_predict_the_largest(capsys: pytest.CaptureFixture[str]) -> None:
    found = costs_of([lake(10_000), lake(100_000), lake(1_000_000)], 0.002, 3e-12)
    assert found.ingest(1e9) == pytest.approx(TRUE.ingest(1e9), rel=0.01)
    assert found.pairs(1e8) == pytest.approx(TRUE.pairs(1e8), rel=0.01)
    assert found.commit(20, 1000, 1e7) == pytest.approx(TRUE.commit(20, 1000, 1e7), rel=0.01)
    check([lake(10_000), lake(100_000), lake(1_000_000)], 0.002, 3e-12)
    assert "ingest" in capsys.readouterr().out


def test_more_nodes_help_workers_and_not_the_driver() -> None:
    slow = replace(TRUE, sample_cpu_s=0.1)
    few, many = (plan(slow, Cluster(nodes, 32), WORK, PRICES) for nodes in (4, 400))
    assert many.within["workers"] == pytest.approx(few.within["workers"] / 100)
    assert many.steps["list and ingest (driver)"] == few.steps["list and ingest (driver)"]
    assert many.steps["measure"] < few.steps["measure"]
    # From some number of nodes on they wait for the driver.
    more = plan(slow, Cluster(4000, 32), WORK, PRICES)
    assert more.seconds == pytest.approx(many.seconds, rel=0.2)
    assert more.money["cores, all nodes up all the time"] > 5 * many.money["cores, all nodes up all the time"]


def test_limits() -> None:
    cluster = Cluster(16, 32)
    assert register_limit(TRUE, cluster, 3) == pytest.approx(2048 / 0.012)
    assert wave_limit(TRUE, cluster, 10**9) < wave_limit(TRUE, cluster, 10**7) < 100_000
    faster = replace(cluster, driver_speedup=4.0)
    assert register_limit(TRUE, faster, 3) == 4 * register_limit(TRUE, cluster, 3)
