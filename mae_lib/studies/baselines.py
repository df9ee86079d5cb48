"""How hard a set of images is, from the accuracies of READERS before any masked model is trained.

* Pixels are classified linearly (ridge regression of the classes) and by twenty neighbours.
* An untrained encoder is probed linearly, at its class token and its mean token.
* An encoder of the same size is trained on the labels.

Where masked pretraining can help, as on ImageNet, the first four accuracies are near chance and the last one is high.
No masks are involved, so settings chosen by these accuracies cannot favour a ratio or a unit.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mae_lib.metrics.batches import unit_images
from mae_lib.metrics.probes import features, linear_probe, nearest_neighbours, ridge_hits
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import Schedule
from mae_lib.training.hardware import Hardware, threads
from mae_lib.training.mae import MAE
from mae_lib.training.supervised import train_classifier
from mae_lib.worlds import World
from mae_lib.worlds.rendered import to_bytes

READERS = ("pixels, linear", "pixels, 20 neighbours", "untrained, class token", "untrained, mean token", "supervised")
_CHUNK = 128


def baseline_accuracies(
    config: PretrainConfig,
    test_options: dict[str, Any] | None = None,
    train_images: int = 3200,
    test_images: int = 1000,
    supervised_images: int = 20_000,
    visits: int = 60_000,
    lr: float = 1e-3,
    batch: int = 32,
    hardware: Hardware = Hardware(),
) -> dict[str, Any]:
    """Accuracy of each of READERS on the class labels of `config`'s world, with the setup.

    The first four learn from `train_images` images of the train split; the supervised encoder, of `config`'s sizes,
    from `supervised_images` of the same split in `visits` visits at learning rate `lr`. All are tested on `test_images`
    of the test split, of a world with `test_options` if given. `config.seed` determines weights and order. Raises
    ValueError for a number below 1, fewer visits than a batch has, or a test world with other classes.
    """
    counts = {"train_images": train_images, "test_images": test_images, "supervised_images": supervised_images}
    for name, value in (counts | {"visits": visits, "batch": batch}).items():
        if value < 1:
            raise ValueError(f"{name} is {value}: it must be at least 1")
    if visits < batch:
        raise ValueError(f"visits is {visits}: it must be at least one batch, {batch}")
    world, other = config.make_world(), _test_world(config, test_options or {})
    if other.classes != world.classes:
        raise ValueError(f"the test world has {other.classes} classes, not {world.classes}: they must be the same")
    with threads(1):
        images, labels = _drawn(world, "train", max(train_images, supervised_images))
        test = _drawn(other, "test", test_images)
        accuracy = _blind(config, images[:train_images], labels[:train_images], *test, hardware)
        seen = images[:supervised_images], labels[:supervised_images]
        accuracy["supervised"] = _supervised(config, world.classes, *seen, *test, visits, lr, batch, hardware)
    return {
        "world": world.spec(),
        "test_options": test_options or {},
        "encoder": {name: getattr(config, name) for name in ("image_size", "patch", "width", "depth", "heads")},
        **counts,
        "visits": visits,
        "lr": lr,
        "batch": batch,
        "seed": config.seed,
        "classes": world.classes,
        "chance": 1 / world.classes,
        "accuracy": accuracy,
    }


def _test_world(config: PretrainConfig, options: dict[str, Any]) -> World:
    return replace(config, world_options=config.world_options | options).make_world()


def _drawn(world: World, split: str, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` images of a split, uint8 (count, 3, H, W), and their labels (count,)."""
    samples = [world.sample(chunk, split) for chunk in torch.arange(count).split(_CHUNK)]
    return torch.cat([to_bytes(s.images) for s in samples]), torch.cat([s.labels for s in samples])


def _fresh(config: PretrainConfig) -> MAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return config.model().eval()


def _blind(
    config: PretrainConfig, images: Tensor, labels: Tensor, test_images: Tensor, test_labels: Tensor, hardware: Hardware
) -> dict[str, float]:
    """The first four of READERS, which learn only a linear map or a vote."""
    y, test_y = labels.numpy(), test_labels.numpy()
    x, test_x = (part.flatten(1).numpy().astype("float32") / 255 for part in (images, test_images))
    encoder = _fresh(config).to(hardware.torch_device)
    scores = {
        "pixels, linear": float(ridge_hits(x, y, test_x, test_y).mean()),
        "pixels, 20 neighbours": nearest_neighbours(x, y, test_x, test_y).accuracy,
    }
    for pool, name in (("cls", "class token"), ("mean", "mean token")):
        seen, unseen = (features(encoder, part, pool) for part in (images, test_images))
        scores[f"untrained, {name}"] = linear_probe(seen, y, unseen, test_y).accuracy
    return scores


def _supervised(
    config: PretrainConfig,
    classes: int,
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    visits: int,
    lr: float,
    batch: int,
    hardware: Hardware,
) -> float:
    """Test accuracy of the encoder and a linear head, trained on labels by AdamW."""
    schedule = Schedule(visits // batch, batch, lr, warmup=0.1, clip=1.0)
    with tempfile.TemporaryDirectory(prefix="supervised-") as folder:
        model, _ = train_classifier(config, images, labels, classes, schedule, Path(folder), hardware)
    model.eval()
    with torch.inference_mode():
        batches = unit_images(test_images, 256, hardware.torch_device)
        guesses = torch.cat([model(chunk).argmax(1).cpu() for chunk in batches])
    return float((guesses == test_labels).double().mean())
