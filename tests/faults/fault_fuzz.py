"""Presets, parameters, graphs, masks, annotation files of any content: the right result, or one line that says why."""

import json
import math
from collections import Counter
from functools import cache, wraps
from pathlib import Path

import networkx as nx
import pytest
import torch
import yaml
from ground import assert_one_line
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mae_lib.__main__ import main
from mae_lib.command_line import setting
from mae_lib.presets import load_preset, preset_file
from mae_lib.studies.series import Series
from mae_lib.training import MAE, MaskSampler, PretrainConfig
from mae_lib.training.mae import split_mask
from maebook.execute import check_parameters

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "3_1_reconstruction.ipynb"
FUZZ = settings(
    max_examples=200,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
near = st.sampled_from(
    [0, 1, -1, 2, 3, 4, 7, 8, 16, 64, 0.5, 0.75, 1.0, "8", "[0]", [0], [0.5], [4], [], {}, "figurines"]
)
values = near | st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
SCALE = load_preset("smoke")["scale"]


_SEEN: dict[str, Counter] = {}


@pytest.fixture
def passes_or_says_why(saw):
    """Call something; what it raises must be a ValueError of one line. Counted in the table."""

    def check(what: str, call, *arguments):
        try:
            result = call(*arguments)
        except ValueError as error:
            assert_one_line(" ".join(str(error).split()))
            result, outcome = None, "refused in one line"
        else:
            outcome = "taken"
        saw("fuzzed input", what, outcome)
        _SEEN.setdefault(what, Counter())[outcome] += 1
        return result

    return check


def both(what: str):
    """A test of values of which a good part must be taken and a good part refused: else it has tested nothing."""

    def wrapped(test):
        @wraps(test)
        def checked(*arguments, **options):
            _SEEN.pop(what, None)
            test(*arguments, **options)
            assert min(_SEEN[what][outcome] for outcome in ("taken", "refused in one line")) >= 20, _SEEN[what]

        return checked

    return wrapped


whole = Path(preset_file("smoke")).read_text()
place = st.integers(0, len(whole) - 1)
cut = st.tuples(place, place, st.text(max_size=3)).map(lambda c: whole[: min(c[:2])] + c[2] + whole[max(c[:2]) :])
comment = st.tuples(place, st.text("abc xyz", max_size=9)).map(lambda c: _with_comment(*c))


def _with_comment(where: int, text: str) -> str:
    """A preset with a comment more, which changes nothing."""
    lines = whole.splitlines()
    return "\n".join([*lines[: (line := where % len(lines))], f"# {text}", *lines[line:]])


@both("presets: any text, or a true preset cut, altered or commented")
@FUZZ
@given(text=st.text(max_size=200) | st.binary(max_size=200) | values.map(json.dumps) | cut | comment | comment)
def test_a_preset_of_any_content(tmp_path, passes_or_says_why, text):
    path = tmp_path / "any.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    what = "presets: any text, or a true preset cut, altered or commented"
    preset = passes_or_says_why(what, load_preset, path)
    if preset:
        assert set(preset) == set(load_preset("smoke")) and isinstance(preset["scale"]["unit"], int)


@FUZZ
@given(
    key=st.sampled_from(["preset", "seeds", "mask_ratios", "units", "scale", *SCALE]),
    value=values,
    drop=st.booleans() | st.just(False),
)
def test_a_preset_with_one_entry_changed(tmp_path, passes_or_says_why, key, value, drop):
    preset = load_preset("smoke")
    place = preset["scale"] if key in SCALE else preset
    if drop:
        del place[key]
    else:
        place[key] = value
    path = tmp_path / "changed.yaml"
    path.write_text(json.dumps(preset))  # JSON is YAML
    series = passes_or_says_why(
        "presets: one entry changed or missing", lambda: Series.from_parameters(load_preset(path))
    )
    for config in series.configs.values() if series else ():
        assert 0 < config.masks().visible < config.masks().patches and config.name == Path(config.name).name


@FUZZ
@given(name=st.sampled_from(list(SCALE)) | st.text(max_size=10), value=values)
def test_a_setting_of_the_command(passes_or_says_why, name, value):
    def parse() -> PretrainConfig:
        try:
            pair = setting(f"{name}={yaml.safe_dump(value, default_flow_style=True)}")
        except Exception as error:
            assert type(error).__name__ == "ArgumentTypeError"  # argparse says it in one line
            raise ValueError(str(error)) from None
        return PretrainConfig.from_scale(SCALE, **dict([pair]))

    passes_or_says_why("parameters: of pretraining", parse)


@FUZZ
@given(
    name=st.sampled_from(["preset", "seeds", "mask_ratios", "units", "scale", "use_published"]) | st.text(max_size=10),
    value=values,
)
def test_a_parameter_of_a_notebook(passes_or_says_why, name, value):
    passes_or_says_why("parameters: of a notebook", check_parameters, NOTEBOOK, {name: value})


ratios = st.lists(st.floats(0.05, 0.95), min_size=1, max_size=3)
units = st.lists(st.sampled_from([4, 8, 16, 32]), min_size=1, max_size=3)
seeds = st.lists(st.integers(0, 99), min_size=1, max_size=3)
true_lists = st.tuples(ratios, units, seeds)
any_lists = st.lists(values, min_size=3, max_size=3) | st.lists(st.text(max_size=20), min_size=3, max_size=3)


@both("parameters: ratios, units and seeds")
@FUZZ
@given(values=any_lists | true_lists | true_lists.map(lambda lists: [yaml.safe_dump(one) for one in lists]))
def test_lists_of_ratios_units_and_seeds(passes_or_says_why, values):
    series = passes_or_says_why("parameters: ratios, units and seeds", lambda: Series.of("smoke", *values))
    for (ratio, unit, seed), config in series.configs.items() if series else ():
        assert (config.mask_ratio, config.unit, config.seed) == (ratio, unit, seed)
        assert 0 < config.masks().visible < config.masks().patches


@FUZZ
@given(text=st.text(max_size=40))
def test_a_value_on_the_command_line_that_is_no_yaml(tmp_path, capsys, saw, text):
    """Refused or not, never a traceback: the notebook does not exist, so nothing runs."""
    code = main(["execute", str(tmp_path / "none.ipynb"), str(tmp_path / "out.ipynb"), "-p", "x", text])
    assert code == 2
    assert_one_line(capsys.readouterr().err)
    saw("fuzzed input", "parameters: any text for a value", "refused in one line")


names = st.sampled_from("abcdefghxyz")
edges = st.lists(st.tuples(names, names), max_size=14)


def brute_force(graph: nx.DiGraph, masked: set[str], observables: set[str]) -> set[str]:
    """c by its definition: shared ancestors of both sides, less those with a shared child."""
    sides = [masked, observables - masked]
    shared = set.intersection(*(set().union(*(nx.ancestors(graph, x) | {x} for x in side), set()) for side in sides))
    return {z for z in shared if shared.isdisjoint(graph[z])}


@FUZZ
@given(edges=edges, masked=st.lists(names, max_size=4))
def test_a_graph_of_any_edges(tmp_path, capsys, saw, edges, masked):
    path = tmp_path / "graph.txt"
    path.write_text("".join(f"{a} {b}\n" for a, b in edges))
    code = main(["locate", str(path), *masked])
    out, err = capsys.readouterr()
    if code:
        assert_one_line(err)
        saw("fuzzed input", "graphs: any edges", "refused in one line")
        return
    graph = nx.DiGraph(edges)
    expected = brute_force(graph, set(masked), {node for node in graph if not graph.out_degree(node)})
    assert out.startswith(f"   c = {{{', '.join(sorted(expected))}}}\n")
    saw("fuzzed input", "graphs: any edges", "the same c as by brute force")


@FUZZ
@given(content=st.binary(max_size=120) | st.text(max_size=120).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_graph_file_of_any_content(tmp_path, capsys, saw, content):
    path = tmp_path / "graph.txt"
    path.write_bytes(content)
    code = main(["locate", str(path)])
    _, err = capsys.readouterr()
    if code:
        assert_one_line(err)
    saw("fuzzed input", "graphs: a file of any bytes", "refused in one line" if code else "taken")


small = st.integers(-2, 12)


any_geometry = st.tuples(small, small, st.integers(-2, 100), st.floats() | st.floats(0, 1))
true_geometry = st.tuples(st.integers(1, 12), st.integers(1, 8), st.integers(1, 4), st.floats(0.05, 0.95)).map(
    lambda drawn: (drawn[0], drawn[1], drawn[1] * drawn[2], drawn[3])
)


@both("masks: any grid, unit and ratio")
@FUZZ
@given(geometry=any_geometry | true_geometry, partial=st.booleans(), seed=st.integers())
def test_a_mask_of_any_geometry(passes_or_says_why, geometry, partial, seed):
    grid, patch, unit, ratio = geometry
    sampler = passes_or_says_why("masks: any grid, unit and ratio", MaskSampler, grid, patch, unit, ratio, partial)
    if sampler:
        masks = sampler.sample(seed % 2**63, 0, torch.arange(3))
        assert masks.shape == (3, grid**2) and masks.sum(1).tolist() == [sampler.masked] * 3
        step = 1 if partial else (unit // patch) ** 2  # patches that are hidden as one
        assert 0 <= sampler.masked - ratio * grid**2 + 1e-6 < step + 1e-5


@cache
def model() -> MAE:
    return MAE(8, 4, width=8, depth=1, heads=1, decoder_width=8, decoder_heads=1)


@FUZZ
@given(
    shape=st.lists(st.integers(0, 5), max_size=3),
    kind=st.sampled_from([torch.bool, torch.int64, torch.float32]),
    ones=st.integers(0, 5),
)
def test_a_mask_of_any_shape_and_type(passes_or_says_why, shape, kind, ones):
    mask = (torch.arange(math.prod(shape)) % 5 < ones).view(shape).to(kind)
    split = passes_or_says_why("masks: any shape, type and rows", split_mask, mask, 4)
    if split and len(mask):
        images = torch.rand(len(mask), 3, 8, 8)
        assert model().reconstruct(images, mask).isfinite().all()
        assert sorted(torch.cat(split, 1)[0].tolist()) == [0, 1, 2, 3]


@FUZZ
@given(content=st.binary(max_size=100) | values.map(lambda v: json.dumps(v).encode()), data=st.data())
def test_annotation_files(tmp_path, passes_or_says_why, content, data):
    coco = pytest.importorskip("mae_lib.transfer.coco", reason="detection is not part of this checkout")
    for name in ("val2017", "annotations"):
        (tmp_path / name).mkdir(exist_ok=True)
    kind = data.draw(st.sampled_from(["any content", "one entry changed"]))
    if kind == "one entry changed":
        whole = {
            "images": [{"id": 1, "file_name": "000000000001.jpg", "height": 20, "width": 30}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 5, 6], "area": 30, "iscrowd": 0}],
            "categories": [{"id": 1, "name": "person"}],
        }
        whole["annotations"][0]["segmentation"] = [[1, 2, 6, 2, 6, 8, 1, 8]]
        part = data.draw(st.sampled_from(list(whole)))
        entry = whole[part][0]
        entry[data.draw(st.sampled_from(list(entry)))] = data.draw(values)
        content = json.dumps(whole).encode()
    (tmp_path / "annotations" / "instances_val2017.json").write_bytes(content)
    passes_or_says_why(f"annotation files: {kind}", lambda: coco.CocoSplit(tmp_path, "val"))
