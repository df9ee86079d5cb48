"""What labels would buy: a small convolutional network trained on them, the ceiling that a world allows."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mae_lib import randomness
from mae_lib.metrics.batches import unit_images
from mae_lib.metrics.probes import ProbeScore
from mae_lib.training.engine import Schedule, train
from mae_lib.training.hardware import Hardware


def _network(size: int, classes: int) -> nn.Module:
    """Three strided convolutions and a linear layer over all that is left of the image, so place counts."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(128 * (size // 8) ** 2, classes))


def supervised_ceiling(
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    epochs: int = 2,
    seed: int = 0,
    device: str | None = None,
) -> ProbeScore:
    """Accuracy on test images of a network trained with `labels` (B,) on uint8 `images` (B, 3, size, size).

    The side is a multiple of 8. Raises ValueError for another, or for images and labels of different numbers.
    """
    size, batch = images.shape[-1], min(64, len(images))
    if size % 8 or len(images) != len(labels) or len(test_images) != len(test_labels):
        raise ValueError(
            f"{len(images)} images of side {size} for {len(labels)} labels, {len(test_images)} test images for "
            f"{len(test_labels)}: the side must be a multiple of 8 and the numbers must agree"
        )
    hardware = Hardware(device, progress=False)
    where = hardware.torch_device

    def batch_of(step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        chosen = randomness.integers(len(images), seed, step * batch + rows, "supervised")
        return images[chosen].to(where).float() / 255, labels[chosen].to(where)

    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        model = _network(size, int(labels.max()) + 1)
        schedule = Schedule(max(1, epochs * len(images) // batch), batch, lr=2e-3)
        loss_of = lambda net, pair: F.cross_entropy(net(pair[0]), pair[1])  # noqa: E731
        train(model, batch_of, loss_of, schedule, Path(folder), hardware)
    model.eval()
    with torch.inference_mode():
        guesses = torch.cat([model(chunk).argmax(1).cpu() for chunk in unit_images(test_images, 256, where)])
    hits = (guesses == test_labels).numpy()
    return ProbeScore(float(hits.mean()), hits)
