"""Checkpoints that others released, as runs: facebookresearch/mae's (.pth), and timm's state of an MAE (.safetensors).

    python -m mae_lib import mae_pretrain_vit_base.pth
    python -m mae_lib evaluate --model mae_pretrain_vit_base.pth
    python -m mae_lib evaluate --model timm:vit_base_patch16_224.mae    # fetched by timm, which needs a network

Notable: a released model gets an address of its own, whose seed is read off the file's SHA-256, so nobody's training is
taken for it; beside it lies a preset that names it alone, which every command and notebook takes. Sizes are read off
the tensors, and what timm knows of its models beside them is carried along: heads, and the pixels' mean and deviation.
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
from mae_lib.training.released_files import read_about, read_state, to_safetensors
from mae_lib.training.run import Run, made_once

_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}  # of ViT-T, S, B, L and H; else one for 64 of the width
_log = logging.getLogger(__name__)
_DECODER_HEAD = 32  # width of a head of MAE's decoder: 512 in 16


def import_model(path: str | Path, scale: dict[str, Any], runs: Path, **overrides: Any) -> Run:
    """The run of a released checkpoint, written into `runs` at its first import, with a preset of its name beside it.

    `scale`: a preset's, for the data and the sizes of evaluations. `overrides` set what a file does not tell, such as
    heads=3 or norm_pixels=False. `timm:NAME` in place of a path is what timm has under that name. Raises
    CheckpointError for a file that holds no masked autoencoder's encoder.
    """
    path = of_timm(str(path).removeprefix("timm:"), runs) if str(path).startswith("timm:") else Path(path)
    state, settings = read_state(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    told = (
        sizes(path, state)
        | _told(settings)
        | (read_about(path) or {})
        | {"seed": int(digest[:7], 16), "mask_ratio": SERIES_RATIO}
    )
    whole = {**scale, **told, "unit": told["patch"], **overrides}
    if "heads" not in overrides and not read_about(path) and told["width"] not in _HEADS:
        _log.warning("%s does not tell its heads: %d, of 64 of the width each; else set heads", path, told["heads"])
    known = {**whole, "seed": told["seed"], "mask_ratio": told["mask_ratio"]}
    config = PretrainConfig.from_scale(known)
    run, decoder = Run(runs / config.name), "decoder_pred.weight" in state

    def take() -> tuple[MAE, dict[str, Any]]:
        model = config.model()
        model.has_decoder = decoder
        try:
            model.load_state_dict(state) if decoder else model.load_encoder(state)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: does not fit a masked autoencoder ({error})") from None
        _write_preset(preset_of(run), config, {name: whole[name] for name in scale})
        checkpoints.write_files({run.directory / "log.jsonl": b""})
        done = {"steps": 0, "seconds": 0.0, "images_per_second": 0.0, "loss": math.nan}
        return model, done | {"imported": path.name, "sha256": digest, "decoder": decoder}

    made_once(run.directory, config, take, {"device": "elsewhere"})
    return run


def of_timm(name: str, runs: Path) -> Path:
    """A file in `runs` of the weights that timm has under a name, fetched if it is not there yet.

    Raises CheckpointError for a name that timm does not have, and when they cannot be fetched.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):  # nor any other place than timm's own
        raise CheckpointError(f"timm:{name}: a name of timm is a word, such as vit_base_patch16_224.mae")
    file = runs / f"timm-{name}.safetensors"
    if not file.is_file() or read_about(file) is None:
        try:
            model = timm.create_model(name, pretrained=True).eval()
        except (RuntimeError, OSError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(f"timm:{name}: cannot be had ({reason})") from None
        about = _of_model(f"timm:{name}", model)
        file.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.write_files({file: to_safetensors(model.state_dict(), about)})
    return file


def _of_model(name: str, model: nn.Module) -> dict[str, Any]:
    """What no tensor tells of a timm model. Raises CheckpointError for one that a masked autoencoder's encoder is not:
    they are told apart by their tokens, for an activation or a rotation of positions leaves no trace in the names."""
    state = model.state_dict()
    shape = sizes(Path(name), state)
    try:
        about = {"heads": int(model.blocks[0].attn.num_heads)}
        encoder = MAE(**{key: shape[key] for key in ("image_size", "patch", "width", "depth")} | about)
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
    """The preset that names a released model's run alone."""
    return run.directory / f"{run.directory.name}.yaml"


def sizes(path: Path, state: dict[str, Tensor]) -> dict[str, int]:
    """What the shapes tell: image size, patch, and width, depth and heads of the encoder, and of a decoder if any."""
    try:
        embedding = tuple(state["patch_embed.proj.weight"].shape)
        if len(embedding) != 4 or embedding[1] != 3 or embedding[2] != embedding[3]:
            raise CheckpointError(f"{path}: embeds patches by {embedding}: it must be (width, 3, patch, patch)")
        width, _, patch, _ = embedding
        tokens = state["pos_embed"].shape[1] - 1
        grid = math.isqrt(tokens)
        found = {"image_size": grid * patch, "patch": patch, "width": width, "heads": _HEADS.get(width, width // 64)}
        found |= {"depth": _blocks(state, "blocks.")}
        if "decoder_pred.weight" in state:
            wide = state["decoder_embed.weight"].shape[0]
            found |= {"decoder_width": wide, "decoder_heads": wide // _DECODER_HEAD}
            found |= {"decoder_depth": _blocks(state, "decoder_blocks.")}
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{path}: is no encoder of a masked autoencoder ({error} is missing)") from None
    if grid**2 != tokens:
        raise CheckpointError(f"{path}: its {tokens + 1} positions are no class token and a square of patches")
    return {name: max(1, int(value)) for name, value in found.items()}


def _blocks(state: dict[str, Tensor], prefix: str) -> int:
    numbers = {name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)}
    return len(numbers)


def _told(settings: dict[str, Any]) -> dict[str, bool]:
    """What the settings of a training with facebookresearch/mae say that no shape does."""
    normalised = settings.get("norm_pix_loss")
    return {"norm_pixels": normalised} if isinstance(normalised, bool) else {}


def _write_preset(file: Path, config: PretrainConfig, scale: dict[str, Any]) -> None:
    preset = {"preset": file.stem, "seeds": [config.seed]}
    preset |= {"mask_ratios": [config.mask_ratio], "units": [config.unit], "scale": scale}
    text = f"# A released model as a preset of one run, for every command and notebook.\n{yaml.safe_dump(preset)}"
    checkpoints.write_files({file: text.encode()})
