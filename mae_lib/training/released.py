"""Checkpoints released by others, as runs: facebookresearch/mae's, timm's, and transformers' ViTMAE and Pixio.

    python -m mae_lib import mae_pretrain_vit_base.pth
    python -m mae_lib evaluate --model mae_pretrain_vit_base.pth
    python -m mae_lib evaluate --model timm:vit_base_patch16_224.mae
    python -m mae_lib evaluate --model hf:facebook/vit-mae-base

timm and huggingface.co need a network; a folder that transformers wrote does not.

A released model gets its own address, with a seed derived from the file's SHA-256, so that no trained run is
mistaken for it. Next to it is a preset with only this model, which every command and notebook accepts. Sizes are
inferred from the tensors. Heads and the pixels' mean and deviation are taken from timm or transformers.
"""

import hashlib
import logging
import math
import re
from pathlib import Path
from typing import Any

import timm
import torch
import yaml
from torch import Tensor, nn

from mae_lib.presets import SERIES_RATIO
from mae_lib.training import checkpoints
from mae_lib.training.checkpoints import CheckpointError
from mae_lib.training.config import PretrainConfig
from mae_lib.training.mae import MAE
from mae_lib.training.released_files import WEIGHTS, read_about, read_state, to_safetensors, weights_in
from mae_lib.training.run import Run, made_once

# Heads of ViT-T, S, B, L and H, and of Pixio's 1B and 5B; else one per 64 of the width.
_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1536: 24, 3072: 32}
# What facebookresearch/mae's settings, or transformers' JSON files, call a setting that no shape determines.
_TOLD = {"norm_pix_loss": "norm_pixels", "num_attention_heads": "heads", "decoder_num_attention_heads": "decoder_heads"}
_TOLD |= {"image_mean": "pixel_mean", "image_std": "pixel_std"}
_log = logging.getLogger(__name__)
_DECODER_HEAD = 32  # width of a head of MAE's decoder: 512 in 16


def import_model(path: str | Path, scale: dict[str, Any], runs: Path, **overrides: Any) -> Run:
    """The run of a released checkpoint, written into `runs` at its first import, with a preset of its name next to it.

    `path`: a file, or a folder that transformers wrote. Or `timm:NAME`, for timm's model of that name, or
    `hf:OWNER/NAME`, for huggingface.co's. `scale`: a preset's, for the data and the sizes of evaluations. `overrides`
    set what a file does not contain, such as `heads=3`, `norm_pixels=False`, or the unit it was pretrained with. Raises
    CheckpointError for a file without a masked autoencoder's encoder.
    """
    given = _fetched(str(path), runs)
    path = weights_in(given)
    state, settings = read_state(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = {ours: settings[theirs] for theirs, ours in _TOLD.items() if settings.get(theirs) is not None}
    known |= read_about(path) or {}
    decoder = "decoder_pred.weight" in state
    if not decoder:
        known.pop("decoder_heads", None)  # transformers writes them even for an encoder without a decoder
    shapes = sizes(path, state)
    for name in overrides.keys() & shapes.keys() - {"heads", "decoder_heads"}:  # no shape determines those two
        if overrides[name] != shapes[name]:
            raise CheckpointError(f"{path}: its {name} is {shapes[name]} and cannot be {overrides[name]!r}")
    told = shapes | known | {"seed": int(digest[:7], 16), "mask_ratio": SERIES_RATIO}
    whole = {**scale, **told, "unit": told["patch"], **overrides}
    if "heads" not in overrides | known and told["width"] not in _HEADS:
        _log.warning(
            "%s does not state its heads: %d are assumed, one per 64 of the width; set heads to change that",
            path,
            told["heads"],
        )
    known = {**whole, "seed": told["seed"], "mask_ratio": told["mask_ratio"]}
    config = PretrainConfig.from_scale(known)
    run = Run(runs / config.name)

    def take() -> tuple[MAE, dict[str, Any]]:
        model = config.model()
        model.has_decoder = decoder
        try:
            model.load_state_dict(state) if decoder else model.load_encoder(state)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: does not fit a masked autoencoder ({error})") from None
        _write_preset(preset_of(run), config, {name: whole[name] for name in [*scale, "class_tokens"]})
        checkpoints.write_files({run.directory / "log.jsonl": b""})
        done = {"steps": 0, "seconds": 0.0, "images_per_second": 0.0, "loss": math.nan}
        return model, done | {"imported": given.name, "sha256": digest, "decoder": decoder}

    made_once(run.directory, config, take, {"device": "elsewhere"})
    return run


def _fetched(path: str, runs: Path) -> Path:
    source, colon, name = path.partition(":")
    return {"timm": of_timm, "hf": of_hub}[source](name, runs) if colon and source in ("timm", "hf") else Path(path)


def of_hub(name: str, runs: Path) -> Path:
    """A folder in `runs` with huggingface.co's weights of that name, downloaded if they are not there yet.

    Raises CheckpointError when they cannot be fetched.
    """
    import huggingface_hub  # a dependency of timm

    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        raise CheckpointError(f"hf:{name}: a name of huggingface.co is OWNER/NAME, such as facebook/vit-mae-base")
    folder = runs / f"hf-{name.replace('/', '-')}"
    for weights in WEIGHTS:
        if any((folder / known).is_file() for known in WEIGHTS):
            break
        try:
            huggingface_hub.snapshot_download(name, local_dir=folder, allow_patterns=["*.json", weights])
        except (OSError, RuntimeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(f"hf:{name}: could not be loaded ({reason})") from None
    return folder


def of_timm(name: str, runs: Path) -> Path:
    """A file in `runs` with timm's weights of that name, downloaded if it is not there yet.

    Raises CheckpointError for a name that timm does not have, and when they cannot be fetched.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):  # nor any place other than timm's own
        raise CheckpointError(f"timm:{name}: a name of timm is a word, such as vit_base_patch16_224.mae")
    file = runs / f"timm-{name}.safetensors"
    if not file.is_file() or read_about(file) is None:
        try:
            model = timm.create_model(name, pretrained=True).eval()
        except (RuntimeError, OSError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(f"timm:{name}: could not be loaded ({reason})") from None
        about = _of_model(f"timm:{name}", model)
        file.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.write_files({file: to_safetensors(model.state_dict(), about)})
    return file


def _of_model(name: str, model: nn.Module) -> dict[str, Any]:
    """The settings of a timm model that no tensor determines. Raises CheckpointError for a model that is not a masked
    autoencoder's encoder: its tokens are compared, since an activation or a rotation of positions leaves no trace in
    the names."""
    state = model.state_dict()
    shape = sizes(Path(name), state)
    try:
        about = {"heads": int(model.blocks[0].attn.num_heads)}
        encoder = MAE(**{key: shape[key] for key in ("image_size", "patch", "width", "depth", "class_tokens")} | about)
        encoder.load_encoder(state)
        images = torch.rand(1, 3, shape["image_size"], shape["image_size"], generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            theirs, ours = model.forward_features(images), encoder.eval().encode(images)
        if theirs.shape != ours.shape or (theirs - ours).abs().max() > 1e-3 * theirs.abs().max():
            raise ValueError("its tokens are others than those of the same weights in a plain ViT")
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{name}: is no encoder of a masked autoencoder ({reason})") from None
    known = getattr(model, "pretrained_cfg", None) or {}
    return about | {f"pixel_{key}": list(known[key]) for key in ("mean", "std") if key in known}


def preset_of(run: Run) -> Path:
    """The preset with only a released model's run."""
    return run.directory / f"{run.directory.name}.yaml"


def sizes(path: Path, state: dict[str, Tensor]) -> dict[str, int]:
    """Sizes from tensor shapes: image size, patch, class tokens; width, depth and heads of encoder and decoder."""
    try:
        embedding = tuple(state["patch_embed.proj.weight"].shape)
        if len(embedding) != 4 or embedding[1] != 3 or embedding[2] != embedding[3]:
            raise CheckpointError(f"{path}: embeds patches by {embedding}: it must be (width, 3, patch, patch)")
        width, _, patch, _ = embedding
        first = state["cls_token"].shape[1]
        tokens = state["pos_embed"].shape[1] - first
        grid = math.isqrt(max(0, tokens))
        found = {"image_size": grid * patch, "patch": patch, "width": width, "heads": _HEADS.get(width, width // 64)}
        found["class_tokens"] = first
        found |= {"depth": _blocks(state, "blocks.")}
        if "decoder_pred.weight" in state:
            wide = state["decoder_embed.weight"].shape[0]
            found |= {"decoder_width": wide, "decoder_heads": wide // _DECODER_HEAD}
            found |= {"decoder_depth": _blocks(state, "decoder_blocks.")}
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{path}: is no encoder of a masked autoencoder ({error} is missing)") from None
    if grid**2 != tokens:
        what = "class token" if first == 1 else f"{first} class tokens"
        raise CheckpointError(f"{path}: its {tokens + first} positions are no {what} and a square of patches")
    return {name: max(1, int(value)) for name, value in found.items()}


def _blocks(state: dict[str, Tensor], prefix: str) -> int:
    numbers = {name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)}
    return len(numbers)


def _write_preset(file: Path, config: PretrainConfig, scale: dict[str, Any]) -> None:
    preset = {"preset": file.stem, "seeds": [config.seed]}
    preset |= {"mask_ratios": [config.mask_ratio], "units": [config.unit], "scale": scale}
    text = f"# A released model as a preset of one run, for every command and notebook.\n{yaml.safe_dump(preset)}"
    checkpoints.write_files({file: text.encode()})
