"""The paper's two series from a notebook's parameters."""

import pytest
import torch

from mae_lib.studies.series import Series

TINY = {"unique_images": 16, "images": 32, "batch": 16, "width": 16, "decoder_width": 16, "depth": 1}


def series(**changes) -> Series:
    given = {"mask_ratios": [0.25, 0.75], "units": [4, 8], "seeds": [0], "scale": TINY} | changes
    return Series.of("smoke", **given)


def test_masks_of_both_series_and_each_once():
    assert list(series().configs) == [(0.25, 8, 0), (0.75, 4, 0), (0.75, 8, 0)]
    assert series().by("ratio") == [(0.25, 8, 0), (0.75, 8, 0)]
    assert series().by("unit") == [(0.75, 4, 0), (0.75, 8, 0)]
    assert len(series(seeds=[0, 1]).configs) == 6


def test_text_is_read_as_papermill_gives_it():
    assert series(mask_ratios="[0.25, 0.75]", scale=str(TINY)).configs == series().configs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_ratios": "0.1, 0.9"}, "mask_ratios is '0.1, 0.9': it must be a list"),
        ({"units": []}, r"units is \[\]: it must be a list with at least one entry"),
        ({"mask_ratios": [1.0]}, "mask ratio 1.0 must lie strictly between 0 and 1"),
        ({"units": [6]}, "mask unit 6 must be a multiple of the patch"),
        ({"scale": {"widht": 8}}, "scale has no entry 'widht'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(changes, message, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        series(**changes)
    assert not list(tmp_path.iterdir())


def test_a_series_is_trained_once_and_read_after(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    first = series().train(device="cpu")
    assert "pretraining 3 of 3: ratio 0.75, unit 8 px" in capsys.readouterr().out
    again = series().train(device="cpu")
    assert capsys.readouterr().out == "" and first == again
    images = torch.rand(2, 3, 32, 32)
    assert again[0.25, 8, 0].load().reconstruct(images).shape == images.shape


def test_a_tidy_table_has_one_row_for_each_measurement():
    values = {mask: {"SSIM": [mask[0], mask[1]]} for mask in series().configs}
    table = series().tidy("unit", values)
    assert table.columns.tolist() == ["unit", "seed", "metric", "image", "value"]
    assert table.values.tolist() == [
        [4, 0, "SSIM", 0, 0.75],
        [4, 0, "SSIM", 1, 4],
        [8, 0, "SSIM", 0, 0.75],
        [8, 0, "SSIM", 1, 8],
    ]
    with pytest.raises(ValueError, match="no series by 'seed'"):
        series().by("seed")


def test_one_number_that_stands_for_all_images_needs_no_image():
    table = series().tidy("ratio", {mask: {"SSIM": mask[0], "PSNR": 1.0} for mask in series().configs})
    assert table.columns.tolist() == ["ratio", "seed", "metric", "value"]
    assert table[table["metric"] == "SSIM"]["value"].tolist() == [0.25, 0.75]
