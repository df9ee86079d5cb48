"""The shipped encoders with what each is, how it scored and how to load it, and a card for each world of images.

Everything is read from the folders of `results/`, the worlds' docstrings and options, and the table of drawings'
licences; what only people can say of a world, its use and its limits, stands in `book/worlds.yml`.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mae_lib.folders import checkout
from mae_lib.studies.publish import shipped_runs
from mae_lib.studies.results import Results, published
from mae_lib.studies.series import Mask
from mae_lib.training import PretrainConfig, Run
from mae_lib.worlds.drawing_builder import TABLE
from mae_lib.worlds.world import world_class
from maebook.sphinx.executed import Page
from maebook.sphinx.source_pages import prose
from maebook.sphinx.tables import list_table, load

# What a line of the table says of an encoder, where it was measured: section -> metric.
SCORES = {
    "reconstruction": "SSIM",
    "separability": "class probe",
    "attention": "class token on the object",
    "shape_bias": "shape bias",
}
_OURS = "MIT, as the book"
_RECORD = " Superseded by newer runs."


def weights(folder: Path, pages: Mapping[str, Page]) -> str:
    """A section for each published folder that ships encoders. Raises ValueError for a world without a card."""
    cards = load(folder, "worlds")
    shipping = [run for run in published() if shipped_runs(run.directory)]
    return "\n\n".join(_folder(run, cards) for run in shipping)


def _folder(published_run: Results, cards: Mapping[str, Any]) -> str:
    runs = shipped_runs(published_run.directory)
    first = next(iter(runs.values())).config
    if first.world not in cards:
        raise ValueError(f"{published_run.name} ships encoders of {first.world!r}: give it a card in book/worlds.yml")
    scores = {section: published_run.scores(section) for section in SCORES}
    shown = [section for section, found in scores.items() if any(SCORES[section] in found.get(m, {}) for m in runs)]
    header = ["Run", "Masked", "Unit, px", "Seed", "Images seen", *(SCORES[section] for section in shown)]
    rows = [_row(mask, run, [scores[section].get(mask, {}) for section in shown], shown) for mask, run in runs.items()]
    return "\n\n".join(
        [
            f"## `{published_run.name}`",
            f"{_facts(first)}; trained on {published_run.provenance['device']}. "
            f"World: {{ref}}`{first.world} <world-{first.world.replace('_', '-')}>`, {_options(first)}. "
            f"Licence: {licence(first.world)}.{_RECORD if published_run.superseded else ''}",
            list_table(header, rows, "mae-weights mae-numbers", "36" + " 8" * len(header[1:])),
            f"To load the first encoder in timm:\n\n```python\n{loading(next(iter(runs.values())))}\n```",
            f"{_pixels(first)}",
        ]
    )


def _facts(config: PretrainConfig) -> str:
    return (
        f"Vision transformers with {config.depth} blocks, {config.heads} heads and width {config.width}, for images of "
        f"{config.image_size} pixels a side with patches of {config.patch}"
    )


def _options(config: PretrainConfig) -> str:
    set_ = ", ".join(f"`{name} = {value!r}`" for name, value in config.world_options.items())
    return f"with {set_}" if set_ else "with its defaults"


def _row(mask: Mask, run: Run, scores: Iterable[Mapping[str, Any]], shown: Iterable[str]) -> list[str]:
    found = [f"{one[SCORES[section]]:.3f}" if SCORES[section] in one else "" for section, one in zip(shown, scores)]
    ratio, unit, seed = mask
    return [f"`{run.directory.name}`", f"{ratio:.0%}", f"{unit}", f"{seed}", f"{run.config.images:,}", *found]


def licence(world: str) -> str:
    """The encoders' own, and for drawings whose work they were trained on, under which licence."""
    if world != "drawings":
        return _OURS
    hands = dict.fromkeys(f"{hand.attribution} ({hand.licence})" for hand in TABLE)
    return f"{_OURS}; trained on others' artwork: {', '.join(hands)}"


def loading(run: Run) -> str:
    """A run's encoder in timm, three statements after two imports; from the root of the repository."""
    config, root = run.config, checkout()
    place = run.directory.relative_to(root) if root and run.directory.is_relative_to(root) else run.directory
    sizes = f"img_size={config.image_size}, patch_size={config.patch}, embed_dim={config.width}"
    return "\n".join(
        [
            "import timm",
            "from safetensors.torch import load_file\n",
            f'state = load_file("{place.as_posix()}/model.safetensors")',
            'encoder = timm.create_model(\n    "vit_base_patch16_224", num_classes=0,',
            f"    {sizes},",
            f"    depth={config.depth}, num_heads={config.heads},\n)",
            "encoder.load_state_dict({\n    name: value.float() for name, value in state.items()",
            '    if not name.startswith(("decoder", "mask"))\n})',
        ]
    )


def _pixels(config: PretrainConfig) -> str:
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (config.pixel_mean, config.pixel_std))
    return (
        f"Scale images to [0, 1], subtract ({mean}) and divide by ({std}). `forward_features` returns a class token "
        "and a token per patch. The probes of Section 3 use the mean patch token; 3.3 also uses the class token."
    )


def world_cards(folder: Path, pages: Mapping[str, Page]) -> str:
    """A card for each world of images."""
    return "\n\n".join(_card(name, card) for name, card in load(folder, "worlds").items())


def _card(name: str, card: Mapping[str, Any]) -> str:
    world = world_class(name)
    what = (inspect.getdoc(inspect.getmodule(world)) or "").partition("\n\n")[0]
    made = re.sub(r"\s*Raises [A-Z][^.]*\.(?=\s|$)", "", inspect.getdoc(world) or "")
    options = ", ".join(
        f"`{field.name} = {field.default!r}`" for field in fields(world) if field.default is not MISSING
    )
    entries = {
        "What": card.get("what") or prose(what),
        "How made": prose(made),
        "Size": card["size"],
        "Options": options,
        "Licence": _images_licence(name, card),
        "Use": card["use"],
        "Limits": card["limits"],
    }
    lines = "\n\n".join(f"{term}\n: " + text.replace("\n", "\n  ") for term, text in entries.items())
    return f"(world-{name.replace('_', '-')})=\n## {name}\n\n{lines}"


def _images_licence(name: str, card: Mapping[str, Any]) -> str:
    if name != "drawings":
        return card["licence"]
    hands = "\n".join(f"* {hand.name}: {hand.attribution}, {hand.licence}" for hand in TABLE)
    return f"{card['licence']}\n\n{hands}"
