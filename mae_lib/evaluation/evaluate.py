"""A model on everything that is there: the linear probe, Table 1's sets and Table 2's shape bias, by one command.

python -m mae_lib evaluate --preset paper --mask-ratio 0.75 --unit 16
torchrun --nproc-per-node 8 -m mae_lib evaluate --model mae_pretrain_vit_base.pth
"""

from typing import Any

import numpy as np

from mae_lib.data.files import DataError
from mae_lib.evaluation.imagenet_scores import class_token, fit_probe, found_sets
from mae_lib.evaluation.intervals import bootstrap_interval
from mae_lib.training import Run, checkpoints
from mae_lib.training.engine import best_device, rank_and_world, workers
from mae_lib.training.imagenet import ImageNet


def evaluate(run: Run, probe_images: int, device: str | None = None, progress: bool = True) -> dict[str, Any]:
    """Scores of a run whose world is ImageNet, in [0, 1] with 95% intervals over images; kept in its `table_1.json`.

    By column of Table 1, and "shape bias" with its accuracies; under "missing" why a set was left out. The probe
    learns from the first `probe_images` training images. Raises ValueError for a run on another world, and as
    `train_head`.
    """
    world = run.config.make_world()
    if not isinstance(world, ImageNet):
        raise ValueError(f"{run.directory.name} is no run on ImageNet: python -m mae_lib series measures the others")
    where = best_device(device)
    with workers(where):
        model = run.load(where)
        probe = fit_probe(world, class_token(model), run.directory.name, run.directory, probe_images, where, progress)
        if rank_and_world()[0] > 0:  # the sets are small beside the probe's training: one worker scores them
            return {}
    found = found_sets(world)
    scores: dict[str, Any] = {column: _summary(probe.hits(one)) for column, one in found.sets.items()}
    missing = dict(found.missing)
    try:
        bias = probe.shape_bias()
        scores["shape bias"] = dict(zip(("value", "low", "high", "images"), bias.interval)) | {"counts": bias.counts}
    except DataError as error:
        missing["shape bias"] = str(error)
    checkpoints.write_json(run.directory / "table_1.json", scores | {"missing": missing})
    return scores | {"missing": missing}


def _summary(hits: np.ndarray) -> dict[str, float]:
    interval = bootstrap_interval(hits.astype(float))
    return {"value": interval.mean, "low": interval.low, "high": interval.high, "images": len(hits)}


def described(scores: dict[str, Any]) -> str:
    """The scores as lines of text."""
    lines = []
    for name, score in scores.items():
        if name != "missing":
            value, low, high = (f"{100 * score[key]:.2f}" for key in ("value", "low", "high"))
            lines.append(f"{name:>10}  {value:>6} %  ({low} to {high}, {score['images']:,} images)")
    return "\n".join([*lines, *(f"{name:>10}  left out: {why}" for name, why in scores["missing"].items())])
