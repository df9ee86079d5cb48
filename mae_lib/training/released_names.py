"""transformers' names for ViTMAE, ViT and Pixio, converted to facebookresearch/mae's, and its folder's settings.

The names in transformers' files differ from those that its version 5 uses in memory; both are read. Queries, keys and
values, three tensors there, become one.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mae_lib.training.checkpoints import CheckpointError

PATCHES = "embeddings.patch_embeddings.projection.weight"
_NAMES = [
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^layernorm\.", "norm."),
    (r"^(encoder\.layer|layers)\.", "blocks."),
    (r"^decoder\.decoder_(encoder\.layer|layers)\.", "decoder_blocks."),
    (r"^decoder\.", ""),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.(?:attention\.)?([qkv])(?:uery|ey|alue|_proj)\.", r".attn.\1."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
]


def of_transformers(path: Path, state: dict[str, Tensor], encoder: str) -> dict[str, Tensor]:
    """The encoder's tensors, whose names begin with `encoder` in `state`, and a decoder's if there is one, under
    facebookresearch/mae's names. Raises CheckpointError for a query without its key or value."""
    decoder = encoder.removesuffix("vit.") + "decoder."
    plain = {name.removeprefix(encoder): value for name, value in state.items() if name.startswith(encoder)}
    plain |= {"decoder." + name.removeprefix(decoder): v for name, v in state.items() if name.startswith(decoder)}
    return _fused(path, {_renamed(name): value for name, value in plain.items() if not name.startswith("pooler.")})


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES:
        name = re.sub(theirs, ours, name)
    return name


def _fused(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {name: value for name, value in state.items() if not re.search(r"\.attn\.[qkv]\.", name)}
    for name in state:
        if ".attn.q." in name:
            three = [state.get(name.replace(".attn.q.", f".attn.{part}.")) for part in "qkv"]
            if any(part is None or part.shape != three[0].shape for part in three):
                raise CheckpointError(f"{path}: {name} has no key and value of its shape")
            found[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(three)
    return found


def beside(path: Path) -> dict[str, Any]:
    """The settings in the two JSON files that transformers writes next to the weights: the model's and the pixels'.

    Raises CheckpointError for an activation other than MAE's, and for a file that is not JSON.
    """
    told = _json(path.parent / "config.json") | _json(path.parent / "preprocessor_config.json")
    if (found := told.get("hidden_act", "gelu")) != "gelu":
        raise CheckpointError(f"{path}: its hidden_act is {found!r}: a masked autoencoder's is gelu")
    return told


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: is no JSON mapping, as transformers writes it beside a model's weights")
    return found
