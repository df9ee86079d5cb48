"""Small models trained together: one batched model instead of one after another, for cards that one model leaves idle.

    python -m mae_lib series --preset gpu --out results/gpu        # on CUDA the seeds of a mask train together

Notable: the model is written once. `vmap` runs the forward pass of one model over stacked weights, one AdamW steps all
of them, for it works element by element, and gradients are clipped model by model. So each run is what it would have
been alone, to float error, and is left as any other: under its own address, with its own log and checkpoints, from
which it may also go on alone.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from tqdm import tqdm

from mae_lib.training import checkpoints
from mae_lib.training.batches import mae_batches
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import DivergedError, adamw, adamw_of, best_device, divergence, threads
from mae_lib.training.mae import MAE, split_mask
from mae_lib.training.pretrain import pretrain
from mae_lib.training.run import Run, alone, circumstances, finish, folder_of
from mae_lib.worlds import rendered


def pretrain_together(
    configs: Sequence[PretrainConfig],
    runs: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
    compiled: bool = False,
) -> list[Run]:
    """`pretrain` for configs that differ in seed, unit or ratio alone and show the encoder as many patches.

    What is finished is read. Memory is that of all of them at once. `compiled`: by torch.compile. Raises ValueError for
    configs that cannot share one batched model, and what `pretrain` raises; a run that diverges stops the others, which
    keep their checkpoints.
    """
    folder = folder_of(runs)
    if not configs:
        return []
    world = configs[0].make_world()
    if hasattr(world, "batches"):  # images that are loaded while it trains: such models are not small
        return [pretrain(config, folder, device, progress, compiled=compiled) for config in configs]
    draw = partial(rendered, world, "train", configs[0].unique_images, folder / "images")
    return train_together(configs, draw, folder, device, progress, compiled=compiled)


def train_together(
    configs: Sequence[PretrainConfig],
    draw: Callable[[], Tensor],
    runs: Path,
    device: str | None = None,
    progress: bool = True,
    save_seconds: float = 60,
    compiled: bool = False,
) -> list[Run]:
    """`pretrain_together` on the images that `draw()` gives, as `train_mae` takes them."""
    if len({_shape(config) for config in configs}) > 1:
        raise ValueError(
            "these runs cannot train together: they differ in more than seed, unit and ratio, or in how "
            "many patches they show"
        )
    where = best_device(device)
    found = {config.name: (config, Run(runs / config.name)) for config in configs}
    with threads(1), ExitStack() as held:
        for name in sorted(found):  # in one order, so that nobody waits in a ring
            held.enter_context(alone(runs / name))
        missing = [pair for pair in found.values() if not (pair[1].directory / "done.json").is_file()]
        images = draw() if missing else None
        for step, group in _groups(missing):
            _train(group, images, step, where, progress, save_seconds, compiled)
    return [found[config.name][1] for config in configs]


def _shape(config: PretrainConfig) -> tuple[str, int]:
    """What must be equal for two configs to share a batched model."""
    fixed = {name: value for name, value in asdict(config).items() if name not in ("seed", "unit", "mask_ratio")}
    return json.dumps(fixed, sort_keys=True), config.masks().visible


Pair = tuple[PretrainConfig, Run]


def _groups(pairs: list[Pair]) -> list[tuple[int, list[Pair]]]:
    """Runs that go on from the same step. A kill while checkpoints are written leaves all a common one."""
    held = {run.directory: set(checkpoints.steps(run.directory)) for _, run in pairs}
    if pairs and (common := set.intersection(*held.values())):
        return [(max(common), pairs)]
    groups: dict[int, list[Pair]] = {}
    for config, run in pairs:
        groups.setdefault(max(held[run.directory], default=0), []).append((config, run))
    return list(groups.items())


class Stack:
    """Models of one shape as one: `parameters` and `buffers` by name, each (models, ...)."""

    def __init__(self, models: Sequence[MAE], compiled: bool = False) -> None:
        self.parameters, self.buffers = stack_module_state(list(models))
        skeleton = copy.deepcopy(models[0]).to("meta")

        def loss(parameters: dict, buffers: dict, *batch: Any) -> Tensor:
            return functional_call(skeleton, (parameters, buffers), batch).loss

        self._losses = torch.compile(vmap(loss)) if compiled else vmap(loss)

    def losses(self, batches: Sequence[tuple[Tensor, ...]]) -> Tensor:
        """The loss of each model on its own batch, (models,); a batch is images, masks and what else a model takes."""
        images, masks, *others = zip(*batches)
        splits = [split_mask(mask, mask.shape[1]) for mask in masks]  # outside: vmap cannot pick by a boolean
        indices = tuple(torch.stack(side).to(images[0].device) for side in zip(*splits))
        others = (torch.stack(other).to(images[0].device) for other in others)
        return self._losses(self.parameters, self.buffers, torch.stack(images), indices, *others)

    def clip(self, largest: float) -> None:
        """Scale the gradient of each model whose norm is above `largest`, as clip_grad_norm_ does."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)  # (models,)
        scale = (largest / (norms + 1e-6)).clamp(max=1)
        for g in gradients:
            g.mul_(scale.view(-1, *[1] * (g.ndim - 1)))

    def state_of(self, number: int, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        """`checkpoints.state_of` for one of the models."""
        tensors = {f"model.{name}": value[number] for name, value in self.parameters.items()}
        for name, p in self.parameters.items():
            state = optimiser.state.get(p, {})
            tensors |= {f"optimiser.{name}.{key}": v[number] if v.ndim else v for key, v in state.items()}
        return tensors

    def infinite(self) -> list[tuple[int, str]]:
        """Models and names of weights that are not finite."""
        wrong = ((name, ~value.flatten(1).isfinite().all(1)) for name, value in self.parameters.items())
        return [(number, name) for name, rows in wrong for number in rows.nonzero().flatten().tolist()]


def _train(
    pairs: list[Pair],
    images: Tensor,
    step: int,
    device: torch.device,
    progress: bool,
    save_seconds: float,
    compiled: bool,
) -> None:
    """`engine.train` and what `train_mae` does around it, for runs that stand at the same step."""
    configs, folders = [config for config, _ in pairs], [run.directory for _, run in pairs]
    schedule, count = configs[0].schedule(), len(pairs)
    models, optimisers, spent = [], [], []
    for config, folder in zip(configs, folders):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            models.append(config.model().to(device).train())
        optimisers.append(adamw(models[-1], schedule, device))
        spent.append(checkpoints.resume(folder, models[-1], optimisers[-1], step)[1])
        checkpoints.write_json(folder / "config.json", asdict(config))
        checkpoints.cut_log(folder / "log.jsonl", step)
    stack = Stack(models, compiled)
    optimiser = _stacked(stack, models, optimisers, adamw_of(stack.parameters, schedule, device, stacked=True))
    batches = [mae_batches(config, images, device) for config in configs]
    rows = torch.arange(schedule.batch)
    autocast = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()

    history: list[Tensor] = []
    begun = tick = saved = time.perf_counter()
    last = {"loss": [math.nan] * count, "images_per_second": math.nan}
    bar = tqdm(desc=f"{count} runs together", total=schedule.steps, initial=step, unit="step", disable=not progress)
    while step < schedule.steps:
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr_at(step)
        with autocast:
            losses = stack.losses([batch_of(step, rows) for batch_of in batches])
        losses.sum().backward()  # no model's loss knows another's weights
        history.append(losses.detach())
        if schedule.clip is not None:
            stack.clip(schedule.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        bar.update()
        if step % schedule.log_every and step < schedule.steps:
            continue

        means = torch.stack(history)  # (steps, models)
        _require_finite(means.tolist(), folders, step)
        now = time.perf_counter()
        last = {"loss": means.mean(0).tolist(), "images_per_second": count * schedule.batch * len(means) / (now - tick)}
        history.clear()
        tick = now
        seconds = [before + (now - begun) / count for before in spent]  # each run's share of the time
        bar.set_postfix_str(f"{last['images_per_second']:.0f} images/s", refresh=False)
        for number, folder in enumerate(folders):
            line = {"step": step, "loss": last["loss"][number], "lr": schedule.lr_at(step - 1)}
            line |= {"images_per_second": round(last["images_per_second"], 1), "seconds": round(seconds[number], 3)}
            checkpoints.append_line(folder / "log.jsonl", json.dumps(line))
        if now - saved >= save_seconds and step < schedule.steps:
            _require_finite_weights(stack, folders, step)
            for number, folder in enumerate(folders):
                checkpoints.save_state(folder, step, stack.state_of(number, optimiser), seconds[number])
            for folder in folders:  # only now, so that at any moment all hold a common step
                checkpoints.prune(folder, step)
            saved = time.perf_counter()
    bar.close()
    _require_finite_weights(stack, folders, step)
    share = (time.perf_counter() - begun) / count
    for number, (config, run) in enumerate(pairs):
        state = {name: value[number] for name, value in stack.parameters.items()}
        models[number].load_state_dict(state)
        done = {"steps": step, "seconds": spent[number] + share, "images_per_second": last["images_per_second"]}
        done |= {"loss": last["loss"][number], "together": count}
        finish(run, config, models[number], done | circumstances(device, 1, 1))


def _stacked(
    stack: Stack, models: list[MAE], optimisers: list[torch.optim.AdamW], optimiser: torch.optim.AdamW
) -> torch.optim.AdamW:
    """`optimiser`, of the stack, brought to where the models' own stand."""
    for name, stacked in stack.parameters.items():
        states = [one.state.get(model.get_parameter(name)) for one, model in zip(optimisers, models)]
        if all(states):
            moments = {key: torch.stack([state[key] for state in states]) for key in ("exp_avg", "exp_avg_sq")}
            optimiser.state[stacked] = moments | {"step": states[0]["step"]}
    return optimiser


def _require_finite(losses: list[list[float]], folders: list[Path], step: int) -> None:
    for back, row in enumerate(reversed(losses), 1):
        for value, folder in zip(row, folders):
            if not math.isfinite(value):
                raise DivergedError(f"{folder.name}: {divergence(folder, step - back, value)}")


def _require_finite_weights(stack: Stack, folders: list[Path], step: int) -> None:
    for number, name in stack.infinite():
        what = f"finite but leads to a {name} that is not finite"
        raise DivergedError(f"{folders[number].name}: {divergence(folders[number], step - 1, what)}")
