"""Checkpoints as trainings, wrappers and failed downloads leave them: their tensors, or what they are."""

import argparse
import logging
from collections import OrderedDict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from test_released import SCALE, facebook

from mae_lib.training import CheckpointError
from mae_lib.training.released import import_model
from mae_lib.training.released_files import read_state


def saved(folder: Path, content: object, name: str = "model.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def same(found: dict, wanted: dict) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


PREFIXES = ["module.", "_orig_mod.", "module._orig_mod.", "model.", "backbone.", "encoder.", "model.module.encoder."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", None])
def test_what_wraps_a_model_leaves_its_names_alone(tmp_path, prefix, key):
    state = facebook()
    wrapped = OrderedDict((prefix + name, value) for name, value in state.items())
    more = {"epoch": 3, "optimizer": {"state": {}}}
    assert same(read_state(saved(tmp_path, wrapped if key is None else {key: wrapped} | more))[0], state)


def test_compiled_blocks_and_what_stands_beside_the_encoder_are_no_matter(tmp_path):
    state = facebook(decoder=False)
    wrapped = {f"net.{name}".replace("blocks.0.", "blocks.0._orig_mod."): value for name, value in state.items()}
    assert same(read_state(saved(tmp_path, wrapped | {"criterion.weight": torch.ones(2)}))[0], state)


def test_paths_and_devices_among_the_settings_are_read_as_data(tmp_path):
    settings = argparse.Namespace(norm_pix_loss=False, output_dir=Path("/x/y"), device=torch.device("cpu"))
    read = read_state(saved(tmp_path, {"model": facebook(), "args": settings}))[1]
    assert read["norm_pix_loss"] is False and read["output_dir"] == PurePosixPath("/x/y")
    as_a_mapping = {"model": facebook(), "args": {"norm_pix_loss": True}}
    assert read_state(saved(tmp_path, as_a_mapping))[1] == {"norm_pix_loss": True}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 343259648\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html><html>403</html>", "is a web page"),
        (b'\n <?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is a web page"),
        (b'{"error": "rate limit"}', "is text"),
        (b"\x80\x02nonsense", "is damaged"),
        (b"just some text\n" * 20, "is damaged"),
    ],
)
@pytest.mark.parametrize("ending", ["pth", "safetensors", "bin"])
def test_what_a_failed_download_leaves_is_called_so(tmp_path, content, says, ending):
    file = tmp_path / f"model.{ending}"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"\A[^\n]*model\.{ending}: [^\n]*{says}[^\n]*\Z"):
        read_state(file)


def two() -> dict:
    return {f"{who}.{name}": value for who in ("student", "teacher") for name, value in facebook().items()}


def changed(**tensors: torch.Tensor) -> dict:
    return facebook() | {name.replace("__", "."): value for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"model": facebook(), "best": np.float64(3)}, "holds a numpy.*scalar, which is no data: save the model"),
        (torch.nn.Linear(2, 2), "holds a torch.nn.modules.linear.Linear, which is no data"),
        ({"model_ema": facebook(), "epoch": 1}, "holds no state of a model: it holds model_ema, epoch:"),
        ({"model": None}, "holds no state of a model: it holds model:"),
        (two(), r"holds several encoders, under 'student\.', 'teacher\.'"),
        (changed(norm__weight=torch.full((64,), torch.nan)), "norm.weight holds NaN or infinite values"),
        (changed(norm__bias=torch.full((64,), torch.inf)), "norm.bias holds NaN or infinite values"),
        (changed(blocks__0__mlp__fc1__weight=torch.ones(256, 64).char()), "fc1.weight is torch.int8"),
    ],
)
def test_what_is_no_single_model_of_tensors_is_said(tmp_path, content, says):
    with pytest.raises(CheckpointError, match=rf"\A[^\n]*model\.pth: [^\n]*{says}[^\n]*\Z"):
        read_state(saved(tmp_path, content))


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"patch_embed__proj__weight": torch.ones(64, 1, 8, 8)}, r"embeds patches by \(64, 1, 8, 8\)"),
        ({"patch_embed__proj__weight": torch.ones(64, 3, 2, 8, 8)}, r"embeds patches by \(64, 3, 2, 8, 8\)"),
        ({"patch_embed__proj__weight": torch.ones(64, 3, 8, 4)}, r"embeds patches by \(64, 3, 8, 4\)"),
        ({"pos_embed": torch.ones(1, 16, 64)}, "its 16 positions are no class token and a square"),
    ],
)
def test_another_embedding_of_patches_is_named(tmp_path, real_data, tensors, says):
    with pytest.raises(CheckpointError, match=says):
        import_model(saved(tmp_path, changed(**tensors)), SCALE, tmp_path / "runs")


def test_the_content_says_what_a_file_is_and_not_its_ending(tmp_path):
    state = facebook()
    for length in range(0, 256, 8):  # of the header, whose first byte may look like a text's
        save_file(state, tmp_path / "model.bin", {"padding": "x" * length})
        assert same(read_state(tmp_path / "model.bin")[0], state)
    assert same(read_state(saved(tmp_path, state, "model.safetensors"))[0], state)


def vit(heads: int = 4, **options) -> timm.models.VisionTransformer:
    torch.manual_seed(0)
    return timm.models.VisionTransformer(32, 8, embed_dim=64, depth=2, num_heads=heads, num_classes=0, **options)


def test_what_timm_knows_of_its_model_is_carried(tmp_path, real_data, monkeypatch):
    model = vit()
    model.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
    monkeypatch.setattr("mae_lib.training.released.timm.create_model", lambda name, pretrained: model)
    run = import_model("timm:vit_odd", SCALE, tmp_path)
    assert (run.config.heads, run.config.pixel_mean, run.config.pixel_std) == (4, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    images = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(model.pretrained_cfg[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        theirs = model.eval().forward_features((images - mean) / std)
        torch.testing.assert_close(run.load().encode(images), theirs, atol=1e-4, rtol=0)
    assert import_model("timm:vit_odd", SCALE, tmp_path, pixel_mean=[0, 0, 0]).config.pixel_mean == (0, 0, 0)


@pytest.mark.parametrize(
    "options", [{"act_layer": "relu"}, {"global_pool": "avg"}, {"class_token": False, "global_pool": ""}]
)
def test_a_model_of_timm_with_other_tokens_is_refused(tmp_path, real_data, monkeypatch, options):
    monkeypatch.setattr("mae_lib.training.released.timm.create_model", lambda name, pretrained: vit(**options))
    with pytest.raises(CheckpointError, match=r"timm:vit_odd: (is no encoder|its 16 positions)"):
        import_model("timm:vit_odd", SCALE, tmp_path)


def test_heads_that_nothing_tells_are_said_to_be_a_guess(tmp_path, real_data, caplog):
    caplog.set_level(logging.WARNING)
    file = saved(tmp_path, facebook())
    import_model(file, SCALE, tmp_path / "runs")
    assert "model.pth does not state its heads: 1 are assumed, one per 64 of the width" in caplog.text
    caplog.clear()
    import_model(file, SCALE, tmp_path / "runs", heads=2)
    assert not caplog.text
