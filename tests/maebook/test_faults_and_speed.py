"""Tables of the page on faults and speed, from what the fault suite and the benchmarks leave."""

import json
from pathlib import Path

from maebook.faults_and_speed import (
    fault_table,
    held,
    speed_table,
    what_feeds,
    what_grows,
    what_limits,
    what_reaches,
    what_width,
    where,
)
from maebook.rows import rows_html

RESULTS = Path(__file__).resolve().parents[2] / "results"
FAULTS = {
    "rows": [
        {"fault": "b", "tried": "x", "times": 3, "outcomes": {"well": 2, "refused": 1}},
        {"fault": "a", "tried": "y", "times": 1, "outcomes": {"well": 1}},
    ]
}


def test_what_happened_is_counted_and_faults_stand_together():
    table = fault_table(FAULTS)
    assert table["fault"].tolist() == ["a", "b"]
    assert table["what happened"].tolist() == ["well", "2 x well; 1 x refused"]
    again = fault_table({"rows": [*FAULTS["rows"], FAULTS["rows"][0] | {"tried": "z"}]})
    assert again["fault"].tolist() == ["a", "b", "b"] and again["what was tried"].tolist() == ["y", "x", "z"]
    assert "<th>times</th>" in rows_html(again) and "mae-rows" in rows_html(again)


def test_a_benchmark_is_a_table_with_shares_in_percent():
    table = speed_table({"rows": [{"ratio": 0.75, "ours": 100, "times": 1.2345, "share": 0.456}]})
    assert table.columns.tolist() == ["share", "ours", "times"] and table.loc[0.75].tolist() == ["46%", 100, 1.23]
    rows = [{"ratio": 0.75, "width": width, "share": 0.5} for width in (64, 128)]
    assert speed_table({"rows": rows}).index.tolist() == [64, 128], "what varies leads"
    rows = [
        {"kept as": name, "CPU ms an image": cost, "needed, images/s": 2, "cores to feed it": 0.0}
        for name, cost in (("a", 2.75), ("b", 1.05))
    ]
    assert speed_table({"rows": rows})["cores to feed it"].tolist() == ["0.0055", "0.0021"]


def test_where_names_machine_day_and_company():
    record = {"device": "cpu: X", "versions": {"torch": "2"}, "finished": "2026-01-02T03:04:05+00:00"}
    assert where(record) == "Measured on cpu: X; PyTorch 2; 2026-01-02."
    assert ", load average 4.5 on 2 cores" in where(record | {"load_average": 4.5, "cores": 2})


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


def test_sentences_follow_from_the_figures():
    kinds = {"rows": [{"kind": "GELU", "share": 0.2}, {"kind": "products", "share": 0.7}]}
    assert what_limits(kinds) == "Largest part of a step: products (70%); second largest: GELU (20%)."
    rows = [{"kept as": name, "images/s": speed, "needed, images/s": 1000} for name, speed in (("a", 999), ("b", 1000))]
    loading = {"rows": rows, "provenance": {"parameters": {"need": "as given"}}}
    assert what_feeds(loading) == (
        "Training consumes 1,000 images/s (as given). Fast enough: b. Too slow, so that loading limits the step: a."
    )
    assert "Fast enough: b. " in what_feeds(loading | {"rows": rows[1:]}) and "Too" not in what_feeds(
        loading | {"rows": rows[1:]}
    )
    for shares, said in (
        ((0.3,), "30% of the rate of one large product (170 GFLOP/s)"),
        ((0.6, 0.7), "60% to 70% of the rate"),
    ):
        assert said in what_reaches({"rows": [{"share": share, "matmul, GFLOP/s": 170.4} for share in shares]})
    for shares, word in (
        ((0.3, 0.4), "does not reach 50%"),
        ((0.6,), "it reaches 50%"),
        ((0.3, 0.6), "some ratios"),
    ):
        assert word in what_reaches({"rows": [{"share": share, "matmul, GFLOP/s": 170.4} for share in shares]})
    for shares, word in (
        (
            (0.3, 0.6, 0.7),
            "From width 2 on, a step at ratio 0.75 reaches 50% of the rate of one large product; at 1 it does not.",
        ),
        (
            (0.6, 0.4, 0.5),
            "From width 3 on, a step at ratio 0.75 reaches 50% of the rate of one large product; at 2 it does not.",
        ),
        ((0.6, 0.7), "From width 1 on, a step at ratio 0.75 reaches 50% of the rate of one large product."),
        ((0.6, 0.4), "At none of these widths"),
    ):
        widths = [{"ratio": 0.75, "width": n, "share": share} for n, share in enumerate(shares, 1)]
        assert what_width({"rows": widths}).startswith(word)
    base = {"image_size": 32, "patch": 4, "mask_ratio": 0.75, "batch": 32, "GFLOP an image": 1.0, "peak MiB": 10}
    changes = [base | {"image_size": 64, "GFLOP an image": 4.0, "peak MiB": 30}]
    changes += [base | {"batch": 128, "peak MiB": 40}]
    said = what_grows({"rows": [base, *changes]})
    assert "work per image grows most, 4.0 times, with image size 64;" in said
    assert said.endswith("peak memory grows most, 4.0 times, with batch 128.")
