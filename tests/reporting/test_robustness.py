"""Tables of the page on robustness and speed, from what the fault suite and the benchmarks leave."""

import json
from pathlib import Path

from mae_lib.reporting.robustness import fault_table, held, speed_table, where

RESULTS = Path(__file__).resolve().parents[2] / "results"
FAULTS = {
    "rows": [
        {"fault": "b", "tried": "x", "times": 3, "outcomes": {"well": 2, "refused": 1}},
        {"fault": "a", "tried": "y", "times": 1, "outcomes": {"well": 1}},
    ]
}


def test_what_happened_is_counted_and_faults_stand_together():
    table = fault_table(FAULTS)
    assert table.index.tolist() == [("a", "y"), ("b", "x")]
    assert table["what happened"].tolist() == ["well", "2 x well; 1 x refused"]


def test_a_benchmark_is_a_table_with_shares_in_percent():
    table = speed_table({"rows": [{"ratio": 0.75, "ours": 100, "times": 1.2345, "share": 0.456}]})
    assert table.columns.tolist() == ["share", "ours", "times"] and table.loc[0.75].tolist() == ["46%", 100, 1.23]


def test_where_names_machine_day_and_company():
    record = {"device": "cpu: X", "versions": {"torch": "2"}, "finished": "2026-01-02T03:04:05+00:00"}
    assert where(record) == "Measured on cpu: X; PyTorch 2; 2026-01-02."
    assert "with 4.5 processes at work on 2 cores" in where(record | {"load_average": 4.5, "cores": 2})


def test_what_nobody_has_made_is_empty(tmp_path):
    assert held("faults", tmp_path) == {}
    (tmp_path / "faults.json").write_text(json.dumps(FAULTS))
    assert held("faults", tmp_path) == FAULTS


def test_what_is_held_has_its_provenance_and_no_failure():
    faults, speed = held("faults", RESULTS), held("speed", RESULTS)
    assert not faults.get("failed")
    for record in [one["provenance"] for one in (faults, *speed.values()) if one]:
        assert {"device", "versions", "finished", "code_hash"} <= record.keys() and where(record)
    for section in speed.values():
        assert len(speed_table(section)) == len(section["rows"])
