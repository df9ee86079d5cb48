"""transformers' checkpoints become runs, judged by transformers' own models of the same weights at random."""

import json

import pytest
import torch
from test_released import SCALE

from mae_lib.__main__ import main
from mae_lib.metrics.attention import CLS, attention
from mae_lib.presets import load_preset
from mae_lib.studies.series import Series
from mae_lib.training import CheckpointError
from mae_lib.training.released import import_model, preset_of
from mae_lib.training.released_files import read_state
from mae_lib.transfer.backbone import PyramidEncoder

transformers = pytest.importorskip("transformers")
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
SIZES = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def away(model: torch.nn.Module) -> torch.nn.Module:
    """The model with every value drawn anew: biases, norms and positions away from 0 and 1 too, where mistakes hide."""
    drawn = torch.Generator().manual_seed(0)
    for name, value in model.named_parameters():
        value.data = name.endswith("norm.weight") + 0.2 * torch.randn(value.shape, generator=drawn)
    return model.eval()


def vit_mae(kind: str = "ViTMAEForPreTraining") -> torch.nn.Module:
    small = {"decoder_hidden_size": 24, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 3}
    small |= {"intermediate_size": 128, "decoder_intermediate_size": 96, "mask_ratio": 0.5}
    return away(getattr(transformers, kind)(transformers.ViTMAEConfig(**SIZES, **small)))


def pixio() -> torch.nn.Module:
    return away(transformers.PixioModel(transformers.PixioConfig(**SIZES)))


def standardised(config) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.pixel_mean, config.pixel_std))
    return (IMAGES - mean) / std


def tokens(judge: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """All tokens of an encoder that keeps every patch, in order."""
    judge.config.mask_ratio = 0.0
    return judge(images, noise=torch.arange(16.0).expand(len(images), -1)).last_hidden_state


@pytest.fixture
def folder(tmp_path):
    vit_mae().save_pretrained(tmp_path / "vit-mae")
    return tmp_path / "vit-mae"


def test_a_folder_is_its_encoder_and_decoder(folder, tmp_path, real_data):
    judge, run = vit_mae(), import_model(folder, SCALE, tmp_path / "runs")
    model, images = run.load(), standardised(run.config)
    assert run.done["decoder"] and run.done["imported"] == "vit-mae"
    assert (run.config.heads, run.config.decoder_heads, run.config.norm_pixels) == (2, 3, False)
    noise = torch.rand(2, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = judge(images, noise=noise)
        ours = model(IMAGES, theirs.mask.bool())
        torch.testing.assert_close(model.encode(IMAGES), tokens(judge.vit, images), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.loss, theirs.loss, atol=1e-5, rtol=0)
    hidden = theirs.logits[theirs.mask.bool()].view_as(ours.prediction)
    torch.testing.assert_close(ours.prediction, hidden, atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", ["ViTMAEForPreTraining", "ViTMAEModel"])
def test_names_in_memory_are_read_as_those_of_files(tmp_path, real_data, prefix, kind):
    judge = vit_mae(kind)
    torch.save({prefix + name: value for name, value in judge.state_dict().items()}, tmp_path / "model.pth")
    decoder = kind == "ViTMAEForPreTraining"
    heads = {"heads": 2} | ({"decoder_heads": 3} if decoder else {})
    run = import_model(tmp_path / "model.pth", SCALE, tmp_path / "runs", **heads)
    assert run.done["decoder"] is decoder
    with torch.no_grad():
        theirs = tokens(getattr(judge, "vit", judge), standardised(run.config))
        torch.testing.assert_close(run.load().encode(IMAGES), theirs, atol=1e-5, rtol=0)


def classifier() -> torch.nn.Module:
    config = transformers.ViTConfig(**SIZES, intermediate_size=128, num_labels=3)
    return away(transformers.ViTForImageClassification(config))


@pytest.mark.parametrize("make", [classifier, lambda: vit_mae("ViTMAEModel")], ids=["classifier", "encoder"])
def test_a_folder_without_a_decoder_is_its_encoder(tmp_path, real_data, make):
    judge = make()
    judge.save_pretrained(tmp_path / "vit")
    run = import_model(tmp_path / "vit", SCALE, tmp_path / "runs")
    images, judge = standardised(run.config), getattr(judge, "vit", judge)
    with torch.no_grad():
        theirs = judge(images).last_hidden_state if make is classifier else tokens(judge, images)
        torch.testing.assert_close(run.load().encode(IMAGES), theirs, atol=1e-5, rtol=0)
    assert not run.done["decoder"]


def test_the_mean_of_pixios_class_tokens_is_the_images(tmp_path, real_data):
    judge = pixio()
    judge.save_pretrained(tmp_path / "pixio")
    run = import_model(tmp_path / "pixio", SCALE, tmp_path / "runs", unit=32)
    model, images = run.load(), standardised(run.config)
    assert (run.config.class_tokens, run.config.patch, run.config.unit) == (8, 8, 32)
    with torch.no_grad():
        theirs = judge(images).last_hidden_state
        torch.testing.assert_close(model.encode(IMAGES)[:, 1:], theirs[:, 8:], atol=1e-5, rtol=0)
        torch.testing.assert_close(model.encode(IMAGES)[:, 0], theirs[:, :8].mean(1), atol=1e-5, rtol=0)
        maps = PyramidEncoder(model, 32, scales=(1,)).eval().maps(images)[1]
        torch.testing.assert_close(maps.flatten(2).transpose(1, 2), theirs[:, 8:], atol=1e-5, rtol=0)
    named = Series.from_parameters(load_preset(preset_of(run)))
    assert [config.name for config in named.configs.values()] == [run.directory.name]


def test_pixios_attention_is_that_of_transformers(tmp_path, real_data):
    judge = pixio()
    judge.set_attn_implementation("eager")
    judge.save_pretrained(tmp_path / "pixio")
    run = import_model(tmp_path / "pixio", SCALE, tmp_path / "runs")
    ours = attention(run.load(), IMAGES, torch.tensor([[CLS, 1, 16]] * 2))
    with torch.no_grad():
        theirs = judge(standardised(run.config), output_attentions=True).attentions[-1][:, :, [0, 8, 23]]
    torch.testing.assert_close(ours[..., 1:], theirs[..., 8:], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[..., 0], theirs[..., :8].sum(-1), atol=1e-5, rtol=0)


def test_the_pixels_of_the_folder_are_taken(folder, tmp_path, real_data):
    pixels = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    config = import_model(folder, SCALE, tmp_path / "runs").config
    assert (config.pixel_mean, config.pixel_std) == ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def test_a_folder_that_holds_something_else_is_named(folder, tmp_path, capsys, real_data):
    def says(path, what):
        assert main(["import", str(path), "--runs", str(tmp_path / "runs")]) == 2
        assert what in (said := capsys.readouterr().err) and said.count("\n") == 1

    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"hidden_act": "relu"}))
    says(folder, "its hidden_act is 'relu': a masked autoencoder's is gelu")
    (folder / "config.json").write_text("[1]")
    says(folder, "config.json: is no JSON mapping")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    says(folder, "is a folder without model.safetensors or pytorch_model.bin")
    (folder / "model.safetensors.index.json").write_text("{}")
    says(folder, "but shards: save it again in one file")


def test_a_query_without_its_key_is_named(tmp_path):
    state = vit_mae().state_dict()
    del state["vit.layers.1.attention.k_proj.weight"]
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"blocks\.1\.attn\.q\.weight has no key and value of its shape"):
        read_state(tmp_path / "model.pth")


def test_a_name_of_the_hub_is_fetched_once(tmp_path, real_data, monkeypatch):
    import huggingface_hub

    asked = []

    def snapshot_download(name, local_dir, allow_patterns):
        asked.append((name, allow_patterns[-1]))
        if name == "nobody/nothing":
            raise OSError("401 Client Error\nand more")
        if allow_patterns[-1] == "pytorch_model.bin":  # an older model, whose tensors are torch's
            local_dir.mkdir(parents=True)
            torch.save(vit_mae().state_dict(), local_dir / "pytorch_model.bin")
            (local_dir / "config.json").write_text('{"num_attention_heads": 2, "decoder_num_attention_heads": 3}')

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    run = import_model("hf:facebook/vit-mae", SCALE, tmp_path)
    assert import_model("hf:facebook/vit-mae", SCALE, tmp_path) == run and run.config.heads == 2
    assert asked == [("facebook/vit-mae", "model.safetensors"), ("facebook/vit-mae", "pytorch_model.bin")]
    with pytest.raises(CheckpointError, match=r"\Ahf:nobody/nothing: could not be loaded \(401 Client Error\)\Z"):
        import_model("hf:nobody/nothing", SCALE, tmp_path)
    with pytest.raises(CheckpointError, match=r"a name of huggingface\.co is OWNER/NAME"):
        import_model("hf:../outside", SCALE, tmp_path)
    assert len(asked) == 3
