"""Figures as elements of a page: escaped, repeatable, without clashing ids; and the layout of hierarchies."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from urllib.parse import unquote, urlsplit

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path
from PIL import Image

from mae_lib.theory import LatentHierarchy, locate_shared_information
from maebook import figures as plots
from maebook.figures import (
    data_url,
    figure,
    figure_csv,
    figure_html,
    image_grid,
    loss_curves,
    ratio_curve,
    show,
    summarise,
)
from maebook.graph_layout import layout
from maebook.hierarchy_drawing import draw_hierarchy


def curve(label: str = "SSIM"):
    rows = [
        {"ratio": r, "seed": s, "metric": m, "value": r + s / 10} for r in (0.1, 0.9) for s in range(3) for m in "ab"
    ]
    fig, ax = figure()
    ratio_curve(ax, pd.DataFrame(rows), "ratio", by="metric")
    ax.set_ylabel(label)
    return fig


def ids(html: str) -> set[str]:
    return set(re.findall(r' id="([^"]+)"', html))


def test_the_same_figure_is_the_same_bytes_on_any_day(monkeypatch):
    first = figure_html(curve(), "Similarity.", "A line.")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")  # what matplotlib would date the file by
    assert figure_html(curve(), "Similarity.", "A line.") == first


def test_the_last_bits_of_a_layout_do_not_change_the_bytes():
    drawn = []
    for left in (0.1, 0.1 + 1e-14):
        fig = curve()
        fig.axes[0].set_position([left, 0.2, 0.8, 0.7])
        drawn.append(figure_html(fig, "Similarity.", "A line."))
    assert drawn[0] == drawn[1]


def test_a_mask_keeps_its_name_however_many_digits_it_has():
    fig, ax = figure()
    ratio_curve(ax, pd.DataFrame({"ratio": [0.125, 0.8125], "value": [0.1, 0.2], "seed": 0}), "ratio")
    assert re.findall(r'data-mae-mask="([^"]+)"', figure_html(fig, "Two.", "Two points.")) == [
        "ratio 0.125",
        "ratio 0.8125",
    ]


def test_ids_of_two_figures_are_disjoint_and_every_reference_resolves():
    first, second = figure_html(curve(), "One.", "A line."), figure_html(curve(), "Two.", "A line.")
    assert ids(first) and not ids(first) & ids(second)
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', first)) == ids(first)


def test_the_page_reads_it_and_nothing_leaks_out_of_it():
    caption, alt = 'a < b & "quoted" <script>', 'it\'s "so" & <so>'
    html = figure_html(curve("x < y & z"), caption, alt)
    root = ET.fromstring(html)
    assert root.tag == "figure" and root.get("class") == "mae-figure"
    assert root[0].get("role") == "img" and root[0].get("aria-label") == alt
    assert root[1].tag == "figcaption" and root[1].text == caption
    assert "x < y & z" in "".join(root.itertext())
    assert not re.search(r"<style|<script|<\?xml|<!DOCTYPE|<metadata|https?://", html)


def test_ink_and_font_are_the_pages():
    html = figure_html(curve(), "Similarity.", "A line.")
    assert "currentColor" in html and "font-family" not in html
    assert plots.INK not in html and plots.PAPER not in html
    used = set(re.findall(r": (#[0-9a-f]{6})\b", html))
    assert used <= set(plots.PALETTE), "a colour that does not follow the page"


@pytest.mark.parametrize(("caption", "alt", "name"), [("", "a", "caption"), ("a", " ", "alt"), ("a", None, "alt")])
def test_caption_and_alt_are_required(caption, alt, name):
    with pytest.raises(ValueError, match=f"{name} is empty"):
        show(curve(), caption, alt)


def test_the_table_goes_with_the_figure(monkeypatch):
    handed = []
    monkeypatch.setattr(plots, "emit", lambda kind, data, html: handed.append(data))
    show(curve(), "A caption.", "A plot.", "figure-5")
    show(curve(), "A caption.", "A plot.", data=pd.DataFrame({"unit": [4], "value": [1 / 3]}))
    show(image_grid([np.zeros((2, 3, 4, 4))], ["row"]), "A caption.", "A picture.")
    assert handed[1] == {"name": None, "csv": "unit,value\n4,0.33333\n"}
    assert handed[2] == {"name": None, "csv": ""} and handed[0]["name"] == "figure-5"
    held = pd.read_csv(io.StringIO(handed[0]["csv"]))
    assert held["metric"].tolist() == ["a", "a", "b", "b"] and "panel" not in held
    assert held["mean"].tolist() == [0.2, 1, 0.2, 1] and (held["low"] < held["mean"]).all()


def test_tables_of_several_panels_are_told_apart():
    fig, axes = figure(1, 2)
    ratio_curve(axes[0], pd.DataFrame({"ratio": [0.5], "value": [1.0]}), "ratio")
    loss_curves(axes[1], {"r = 0.1": [{"step": 1, "loss": 2.0}]})
    axes[0].set_title("above", loc="left")
    held = pd.read_csv(io.StringIO(figure_csv(fig)))
    assert held["panel"].tolist() == ["above", "loss"] and held["loss"].tolist()[1] == 2
    index = pd.DataFrame({"x": [1]}, pd.Index([8], name="unit"))
    assert figure_csv(fig, index) == "unit,x\n8,1\n"


def test_an_address_holds_the_table():
    csv = 'series,y\n"a, ""quoted"" & 50% more",2\n'
    assert unquote(urlsplit(data_url(csv)).path.split(",", 1)[1]) == csv


def test_summarise_takes_seeds_then_images_then_nothing():
    seeds = summarise(pd.DataFrame({"ratio": 0.5, "seed": [0, 1, 2], "value": [1.0, 2.0, 3.0]}), "ratio")
    assert seeds.loc[0, ["mean", "count"]].tolist() == [2, 3] and seeds.loc[0, "low"] == pytest.approx(
        2 - 4.302653 / 3**0.5
    )
    images = summarise(pd.DataFrame({"ratio": 0.5, "seed": 0, "image": range(50), "value": np.arange(50.0)}), "ratio")
    assert images.loc[0, "count"] == 50 and 17 < images.loc[0, "low"] < 24.5 < images.loc[0, "high"] < 32
    single = summarise(pd.DataFrame({"ratio": [0.5], "seed": [0], "value": [1.0]}), "ratio")
    assert single.loc[0, "mean"] == 1 and np.isnan(single.loc[0, "low"])


def test_a_hollow_mark_takes_its_colour_from_where_it_is_used():
    """A style for the dark changes the line's own colour, and reaches nothing that stands in a definition."""
    drawing, axis = figure()
    axis.plot([0, 1], [0, 1], "o", color="C0", mfc="none")
    page = BeautifulSoup(figure_html(drawing, "A caption.", "A line."), "html.parser")
    blue = plots.PALETTE[0]
    marks = [use for use in page("use") if f"stroke: {blue}" in use["style"]]
    assert len(marks) == 2
    for mark in marks:
        assert "stroke: #" not in page.find(id=mark["href"].removeprefix("#"))["style"]


def test_one_seed_has_no_bars_and_bars_can_be_left_out():
    table = pd.DataFrame({"ratio": [0.1, 0.9], "seed": [0, 0], "value": [1.0, 2.0]})
    twice = pd.concat([table, table.assign(seed=1, value=[1.5, 2.5])])
    for rows, bars, drawn in ((table, True, False), (twice, True, True), (twice, False, False)):
        _, axis = figure()
        ratio_curve(axis, rows, "ratio", bars=bars)
        assert axis.containers[0].has_yerr == drawn and len(axis.containers[0].lines[0].get_xdata()) == 2


def test_lines_differ_by_more_than_colour():
    fig = curve()
    lines = [bar.lines[0] for bar in fig.axes[0].containers]
    assert len({line.get_marker() for line in lines}) == 2 and len({line.get_linestyle() for line in lines}) == 2
    with pytest.raises(ValueError, match="7 lines"):
        ratio_curve(figure()[1], pd.DataFrame({"ratio": 0.1, "value": 1.0, "k": range(7)}), "ratio", by="k")


def test_a_grid_keeps_every_pixel():
    floats, whole = (
        torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)),
        torch.full((2, 3, 8, 6), 9).byte(),
    )
    html = figure_html(image_grid([floats, whole], ["original", "ratio 0.1"], ["a", "b"]), "Grid.", "Images.")
    data = base64.b64decode(re.search(r"data:image/png;base64,\s*([^\"]+)", html)[1])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert picture.shape == (17, 13, 4) and "pixelated" in html
    expected = (floats[1].numpy().transpose(1, 2, 0) * 255).round()
    np.testing.assert_array_equal(picture[:8, 7:, :3], expected)
    assert (picture[9:, :6] == [9, 9, 9, 255]).all() and (picture[8, :, 3] == 0).all() and (picture[:, 6, 3] == 0).all()


@pytest.mark.parametrize("label", ["photographs", "s = 16 px", "not un-normalised"])
def test_names_of_rows_lie_within_the_picture(label):
    fig = image_grid([np.zeros((6, 3, 8, 8))] * 5, [label] * 5)
    FigureCanvasAgg(fig).draw()
    assert all(text.get_window_extent().x0 >= 0 for text in fig.axes[0].get_yticklabels())


def test_grids_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="give one each"):
        image_grid([torch.rand(2, 3, 8, 8)], ["a", "b"])
    with pytest.raises(ValueError, match="the same"):
        image_grid([torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 6)], ["a", "b"])


def test_seven_loss_curves_are_told_apart():
    _, ax = figure()
    loss_curves(ax, {f"run {k}": [{"step": s, "loss": k + s} for s in range(10)] for k in range(7)})
    looks = {(line.get_marker(), line.get_color(), line.get_markerfacecolor()) for line in ax.lines}
    assert len(looks) == 7


# What is left of linear RGB to who lacks a kind of cone (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "all cones": np.eye(3),
}


def nearest_colours(palette, seen) -> float:
    """The least distance in CIE L*a*b* of two colours as they are seen; 2.3 is just noticeable."""
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in palette])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.transpose(seen)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.clip(linear, 0, 1) @ np.transpose(to_xyz) / (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
    return min(np.linalg.norm(lab[i] - lab[j]) for i in range(len(lab)) for j in range(i))


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_the_colours_stay_apart_for_those_who_lack_a_kind_of_cone(seen):
    assert nearest_colours(plots.PALETTE, seen) > 15
    if not np.array_equal(seen, np.eye(3)):  # as matplotlib's own do not
        assert nearest_colours(["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b"], seen) < 10


def test_each_colour_has_a_marker_and_a_dash_of_its_own():
    assert len(plots.PALETTE) == len(set(plots.MARKERS)) == len(set(plots.DASHES)) == len(set(plots.PALETTE))


SAME_CHILDREN = LatentHierarchy(nx.DiGraph([(z, x) for z in ("z1", "z2", "z3") for x in ("x1", "x2")]))


@pytest.mark.parametrize(
    "hierarchy",
    [
        LatentHierarchy.figure_1(),
        LatentHierarchy.figure_2(),
        LatentHierarchy.figure_4(),
        LatentHierarchy.tree((2, 2, 4)),
        SAME_CHILDREN,
    ],
)
def test_no_two_nodes_of_a_level_touch(hierarchy):
    position = layout(hierarchy)
    assert set(position) == {*hierarchy.latents, *hierarchy.observables}
    for level in {y for _, y in position.values()}:
        across = sorted(x for x, y in position.values() if y == level)
        assert all(b - a >= 1 - 1e-9 for a, b in zip(across, across[1:]))
    assert all(position[z][1] > position[child][1] for z in hierarchy.latents for child in hierarchy.children(z))


@pytest.mark.parametrize(
    "hierarchy", [LatentHierarchy.figure_1(), LatentHierarchy.figure_2(), LatentHierarchy.figure_4()]
)
@pytest.mark.parametrize("height", [3.2, 9.6])
def test_no_edge_passes_through_a_node_that_it_does_not_touch(hierarchy, height):
    fig, axes = figure(4 if height > 9 else 1, 1, height=height, squeeze=False)
    ax = axes[0, 0]
    draw_hierarchy(ax, hierarchy, legend=False)
    FigureCanvasAgg(fig).draw()
    at = {node: ax.transData.transform(point) for node, point in layout(hierarchy).items()}
    radius = 0.5 * max(line.get_markersize() for line in ax.lines) * fig.dpi / 72
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    edges = [(z, child) for z in hierarchy.latents for child in hierarchy.children(z)]
    for ends, arrow in zip(edges, arrows, strict=True):
        (line, *_), _ = arrow._get_path_in_displaycoord()
        points = Path(line.to_polygons(closed_only=False)[0]).interpolated(50).vertices
        for node in set(at) - set(ends):
            assert np.hypot(*(points - at[node]).T).min() > radius, f"the edge {ends} passes through {node}"


def test_a_hierarchy_shows_its_sets_and_its_mask():
    hierarchy = LatentHierarchy.figure_4()
    masked = ["x1"]
    fig, ax = figure()
    draw_hierarchy(ax, hierarchy, locate_shared_information(hierarchy, masked), masked)
    html = figure_html(fig, "Figure 4.", "A tree.")
    assert "z3" in "".join(BeautifulSoup(html, "html.parser").get_text().split())  # a subscript is a text of its own
    for words in ("c: shared, minimal", "sₘ: masked side only", "sₘᶜ: visible side only", "masked pixel"):
        assert words in html
    assert sum(line.get_marker() == "x" for line in ax.lines) == 1
    thick = [c for c in ax.collections if c.get_linewidths()[0] > 2]
    assert len(thick) == 1 and thick[0].get_offsets()[0].tolist() == list(layout(hierarchy)["z3"])


def test_hierarchies_that_cannot_be_drawn_are_refused():
    ax = figure()[1]
    with pytest.raises(ValueError, match="341 nodes"):
        draw_hierarchy(ax, LatentHierarchy.quadtree(16))
    with pytest.raises(ValueError, match="'z1'"):
        draw_hierarchy(ax, LatentHierarchy.figure_4(), masked=["z1"])


def test_bars_keep_to_the_bounds_of_a_score_but_not_of_a_difference():
    table = pd.DataFrame({"ratio": 0.5, "seed": [0, 1], "metric": "class token on the object", "value": [0.3, 0.9]})
    bounded, free = summarise(table, "ratio"), summarise(table.assign(value=table["value"] - 0.5), "ratio")
    assert (bounded["low"].item(), bounded["high"].item()) == (0, 1) and free["low"].item() < -1
