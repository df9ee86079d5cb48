"""The table of a figure holds the numbers that were drawn, and nothing that is no number."""

import io
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from maebook.figure_data import data_url, figure_csv, figure_table
from maebook.figures import figure, figure_html, image_grid, ratio_curve, summarise


def test_a_curve_with_intervals_comes_back():
    rng = np.random.default_rng(0)
    rows = [
        {"ratio": r, "seed": s, "metric": m, "value": rng.normal()}
        for r in (0.1, 0.5, 0.9)
        for s in range(3)
        for m in "ab"
    ]
    drawn = pd.DataFrame(rows)
    fig, ax = figure()
    ratio_curve(ax, drawn, "ratio", by="metric")
    ax.axhline(0.5)  # a mark across the panel is no measurement
    table = figure_table(fig)
    for name, group in drawn.groupby("metric"):
        found, wanted = table[table["series"] == name], summarise(group, "ratio")
        assert np.allclose(found[["x", "y", "low", "high"]].astype(float), wanted[["ratio", "mean", "low", "high"]])
    assert len(table) == 6


def test_what_was_not_measured_has_no_ends():
    rows = [
        {"ratio": r, "seed": 0, "image": i, "value": np.nan if r < 0.9 else i} for r in (0.1, 0.9) for i in range(5)
    ]
    fig, ax = figure()
    ratio_curve(ax, pd.DataFrame(rows), "ratio")
    table = figure_table(fig)
    assert np.isnan(table["y"][0]) and np.isnan(table["low"][0]) and table["y"][1] == 2 and table["low"][1] < 2


def test_bars_points_and_heat_maps_and_no_pictures():
    fig = Figure()
    bars, points, heat, picture, diagram = fig.subplots(1, 5)
    bars.bar(["first", "second"], [3.0, 4.0], label="b")
    points.scatter([1, 2], [5, 6], label="p")
    heat.imshow([[7.0, 8.0]])
    picture.imshow(np.zeros((2, 2, 3)))
    diagram.plot([1], [1])
    diagram.set_axis_off()
    table = figure_table(fig)
    assert table["y"].tolist() == [3, 4, 5, 6, 7, 8]
    assert table["x"].tolist()[:2] == ["first", "second"] and set(table["panel"]) == {"panel 1", "panel 2", "panel 3"}
    assert figure_csv(image_grid([np.zeros((2, 3, 4, 4))], ["row"])) == ""


def test_the_page_holds_the_table_in_a_link():
    fig, ax = figure()
    ax.plot([0, 1], [2, 1 / 3], label='a, "quoted" & 50% more')
    link = data_url(figure_csv(fig))
    held = pd.read_csv(io.StringIO(unquote(urlsplit(link)._replace(scheme="", fragment="").path.split(",", 1)[1])))
    assert held["series"].tolist() == ['a, "quoted" & 50% more'] * 2 and held["y"].tolist() == [2, 0.33333]
    assert 'class="mae-data" download="data.csv" href="data:text/csv' in figure_html(fig, "Caption.", "Alt.")
