"""Released checkpoints: states shaped and named as facebookresearch/mae and timm ship them become runs."""

import argparse
import os
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from mae_lib.__main__ import main
from mae_lib.presets import load_preset
from mae_lib.studies.series import Series
from mae_lib.training import CheckpointError, PretrainConfig, find, load_model
from mae_lib.training.released import import_model, preset_of
from mae_lib.training.released_files import read_state

SCALE = load_preset("paper")["scale"] | {"decoder_width": 32, "decoder_depth": 1, "decoder_heads": 1}
ENCODER = ["cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias", "norm.weight", "norm.bias"]
BLOCK = [f"{part}.{kind}" for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
         for kind in ("weight", "bias")]  # fmt: skip
DECODER = ["mask_token", "decoder_pos_embed", "decoder_embed.weight", "decoder_embed.bias", "decoder_norm.weight"]
DECODER += ["decoder_norm.bias", "decoder_pred.weight", "decoder_pred.bias"]


def facebook(width=64, depth=2, decoder_width=32, decoder_depth=1, patch=8, grid=4, decoder=True) -> dict:
    """A state with the names of facebookresearch/mae's models_mae.py and values at random, the same each time."""
    chance = torch.Generator().manual_seed(0)

    def shape(name: str, wide: int) -> tuple[int, ...]:
        tokens = (1, 1 + grid**2, wide)
        known = {"patch_embed.proj.weight": (wide, 3, patch, patch), "pos_embed": tokens, "decoder_pos_embed": tokens}
        known |= {"cls_token": (1, 1, wide), "mask_token": (1, 1, wide), "decoder_embed.weight": (wide, width)}
        known |= {"decoder_pred.weight": (patch**2 * 3, wide), "decoder_pred.bias": (patch**2 * 3,)}
        known |= {"attn.qkv.weight": (3 * wide, wide), "attn.qkv.bias": (3 * wide,), "attn.proj.weight": (wide, wide)}
        known |= {"mlp.fc1.weight": (4 * wide, wide), "mlp.fc1.bias": (4 * wide,), "mlp.fc2.weight": (wide, 4 * wide)}
        return known.get(name, (wide,))

    def some(name: str, wide: int) -> torch.Tensor:
        return torch.randn(shape(name, wide), generator=chance)

    state = {name: some(name, width) for name in ENCODER}
    state |= {f"blocks.{n}.{name}": some(name, width) for n in range(depth) for name in BLOCK}
    if decoder:
        state |= {name: some(name, decoder_width) for name in DECODER}
        for n in range(decoder_depth):
            state |= {f"decoder_blocks.{n}.{name}": some(name, decoder_width) for name in BLOCK}
    return state


@pytest.fixture
def full(tmp_path):
    path = tmp_path / "mae_visualize_vit_tiny.pth"
    torch.save({"model": facebook()}, path)
    return path


def test_a_full_checkpoint_is_a_run_that_find_and_load_know(full, tmp_path, real_data):
    run = import_model(full, SCALE, tmp_path / "runs", norm_pixels=False)
    config, state = run.config, torch.load(full, weights_only=True)["model"]
    shape = config.image_size, config.patch, config.width, config.depth, config.heads
    assert shape == (32, 8, 64, 2, 1) and (config.decoder_width, config.decoder_depth, config.decoder_heads) == (
        32,
        1,
        1,
    )
    assert (config.mask_ratio, config.unit, config.norm_pixels, config.world) == (0.75, 8, False, "imagenet")
    assert find(config, tmp_path / "runs").directory == run.directory
    model = run.load()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.reconstruct(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    stamp = (run.directory / "model.safetensors").stat().st_mtime_ns
    assert import_model(full, SCALE, tmp_path / "runs", norm_pixels=False) == run
    assert (run.directory / "model.safetensors").stat().st_mtime_ns == stamp


def test_its_preset_names_it_alone(full, tmp_path, real_data):
    run = import_model(full, SCALE, tmp_path / "runs")
    series = Series.from_parameters(load_preset(preset_of(run)))
    assert [config.name for config in series.configs.values()] == [run.directory.name]
    assert series.scale["test_images"] == SCALE["test_images"]


def test_an_encoder_alone_and_timms_state_are_taken_without_a_decoder(tmp_path, real_data):
    vit = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=1, num_classes=3)
    save_file(vit.state_dict(), tmp_path / "model.safetensors")  # with its head, which is left out
    torch.save({"model": facebook(decoder=False)}, tmp_path / "mae_pretrain_vit_tiny.pth")
    images = torch.rand(2, 3, 32, 32)
    for path in (tmp_path / "model.safetensors", tmp_path / "mae_pretrain_vit_tiny.pth"):
        run = import_model(path, SCALE, tmp_path / "runs")
        model = run.load()
        assert not run.done["decoder"] and not model.has_decoder
        with pytest.raises(ValueError, match="released without its decoder"):
            model.reconstruct(images)
    theirs, mine = vit.eval(), import_model(tmp_path / "model.safetensors", SCALE, tmp_path / "runs").load()
    mean, std = (torch.tensor(SCALE[name]).view(1, 3, 1, 1) for name in ("pixel_mean", "pixel_std"))
    with torch.no_grad():
        torch.testing.assert_close(
            mine.encode(images), theirs.forward_features((images - mean) / std), atol=1e-4, rtol=0
        )


def test_settings_beside_the_weights_are_read(tmp_path, real_data):
    settings = argparse.Namespace(norm_pix_loss=False, blr=1.5e-4)
    torch.save({"model": facebook(), "args": settings, "epoch": 799}, tmp_path / "checkpoint-799.pth")
    assert import_model(tmp_path / "checkpoint-799.pth", SCALE, tmp_path / "runs").config.norm_pixels is False
    assert PretrainConfig.from_scale(SCALE).norm_pixels is True


def test_a_setting_that_the_shapes_contradict_is_refused(tmp_path, real_data):
    torch.save({"model": facebook()}, tmp_path / "mine.pth")
    size = import_model(tmp_path / "mine.pth", SCALE, tmp_path / "runs").config.image_size
    assert import_model(tmp_path / "mine.pth", SCALE, tmp_path / "runs", image_size=size).config.image_size == size
    with pytest.raises(CheckpointError, match=rf"mine\.pth: its image_size is {size} and cannot be {2 * size}\Z"):
        import_model(tmp_path / "mine.pth", SCALE, tmp_path / "runs", image_size=2 * size)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_code_in_a_checkpoint_never_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": facebook(), "extra": Malicious()}, tmp_path / "bad.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Malicious(), protocol=2))
    for name in ("bad.pth", "pickle.pth"):
        with pytest.raises(CheckpointError, match=f"{name}: is no checkpoint of tensors alone"):
            read_state(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_files_that_hold_something_else_are_named(tmp_path, capsys, real_data):
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    (tmp_path / "cut.safetensors").write_bytes(b"12")
    torch.save({"model": {"fc.weight": torch.zeros(2, 2)}}, tmp_path / "resnet.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    state = facebook()
    state["blocks.0.attn.qkv.weight"] = torch.zeros(5, 5)
    torch.save({"model": state}, tmp_path / "odd.pth")
    for name, says in [
        ("none.pth", "there is no such file"),
        ("cut.pth", "is damaged"),
        ("cut.safetensors", "is damaged"),
        ("resnet.pth", "is no encoder of a masked autoencoder ('patch_embed.proj.weight' is missing)"),
        ("list.pth", "holds no state of a model"),
        ("odd.pth", "does not fit a masked autoencoder"),
    ]:
        assert main(["import", str(tmp_path / name), "--runs", str(tmp_path / "runs")]) == 2
        assert says in capsys.readouterr().err, name
    assert not list((tmp_path / "runs").glob("*/done.json"))


def test_one_command_evaluates_a_released_model(full, tmp_path, real_data, miniature_preset, capsys):
    command = ["evaluate", "--model", str(full), "--preset", str(miniature_preset), "--runs", str(tmp_path / "runs")]
    assert main([*command, "--device", "cpu", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert all(column in said for column in ("IN1K", "IN-v2", "OJN", "IN-R", "IN-A", "IN-S", "shape bias"))
    assert main(["import", str(full), "--preset", str(miniature_preset), "--runs", str(tmp_path / "runs")]) == 0
    preset = capsys.readouterr().out.strip().rsplit(" ", 1)[-1]
    assert load_preset(preset)["units"] == [8]
    run = next((tmp_path / "runs").glob("imagenet-*"))
    assert load_model(run / "model").has_decoder


def test_a_name_of_timm_is_fetched_once(tmp_path, real_data, monkeypatch):
    asked = []

    def create_model(name, pretrained):
        asked.append((name, pretrained))
        if name == "unheard_of":
            raise RuntimeError("Unknown model (unheard_of)\nand more")
        return timm.models.VisionTransformer(32, 8, embed_dim=64, depth=2, num_heads=1, num_classes=0)

    monkeypatch.setattr("mae_lib.training.released.timm.create_model", create_model)
    run = import_model("timm:vit_small.mae", SCALE, tmp_path)
    assert import_model("timm:vit_small.mae", SCALE, tmp_path) == run and asked == [("vit_small.mae", True)]
    assert run.config.width == 64 and run.done["imported"] == "timm-vit_small.mae.safetensors"
    with pytest.raises(
        CheckpointError, match=r"timm:unheard_of: could not be loaded \(Unknown model \(unheard_of\)\)\Z"
    ):
        import_model("timm:unheard_of", SCALE, tmp_path)
    with pytest.raises(CheckpointError, match="a name of timm is a word"):
        import_model("timm:../outside", SCALE, tmp_path)
    assert len(asked) == 2
