"""Images/s that each way of keeping ImageNet prepares, beside what a pretraining step eats on this machine.

    python benchmarks/data_loading.py [--root /data/imagenet] [--preset paper] [--images 1024] [--workers 0 4]
    python benchmarks/data_loading.py --need 5000          # against a GPU that is elsewhere

Without --root it measures on photographs of scikit-image cut to ImageNet's usual size, 500 x 375 pixels at JPEG quality
90, written to a temporary folder. A prepared image is read, decoded if need be, cropped at random, resized and
mirrored, and stands in a batch in this process. CPU time is counted rather than the clock's, so that other work on the
machine does not weigh on it. What a step eats is measured with the images already on the device.
Files and packs are in the operating system's cache after the first pass: a disk that is slower than that is not seen.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from record import record
from torch.nn.functional import interpolate

from mae_lib.command_line import setting
from mae_lib.data.files import Broken, Images
from mae_lib.data.loading import Ahead, Visits, default_workers
from mae_lib.data.packs import pack, resident
from mae_lib.devices import best_device
from mae_lib.imagenet.sets import WNIDS, imagenet
from mae_lib.presets import load_preset
from mae_lib.training import PretrainConfig
from mae_lib.training.engine import adamw
from mae_lib.worlds import make_world

BATCH = 64  # images that one worker prepares together


def photographs(root: Path, count: int) -> Path:
    """`count` photographs of ImageNet's usual size in ten classes of a training folder."""
    small = make_world("photographs", size=128).sample(torch.arange(count)).images
    for n, crop in enumerate(small):
        large = interpolate(crop[None], (375, 500), mode="bicubic")[0].clamp(0, 1)
        grain = 0.02 * torch.randn(large.shape, generator=torch.Generator().manual_seed(n))  # enlarging lost it
        pixels = ((large + grain).clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
        folder = root / "train" / WNIDS[n % 10]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{n}.JPEG", quality=90)
    return root


def prepared(images: Images, config: PretrainConfig, workers: int, seconds: float) -> tuple[float, float]:
    """Images/s, from the second batch of every worker on, and CPU seconds of this process for each."""
    visits = Visits(images, config.image_size, len(images), (0.2, 1.0), config.seed)
    batch_of = Ahead(visits, BATCH, 1 << 40, [torch.arange(BATCH)], Broken(images, 0.01), workers)
    warm, step, begun, busy = max(2, 3 * workers), 0, 0.0, 0.0
    while step <= warm or time.perf_counter() - begun < seconds:
        batch_of(step, torch.arange(BATCH))
        if step == warm:
            begun, busy = time.perf_counter(), time.process_time()
        step += 1
    made = BATCH * (step - 1 - warm)
    return made / (time.perf_counter() - begun), (time.process_time() - busy) / made


def eaten(config: PretrainConfig, device: torch.device, batch: int, seconds: float) -> float:
    """Images/s of a pretraining step (masks, forward, backward, AdamW; bf16 on a GPU) on images that are there."""
    model = config.model().to(device).train()
    optimiser, masks = adamw(model, config.schedule()), config.masks()
    images = torch.rand(batch, 3, config.image_size, config.image_size, device=device)
    steps, begun, rows = -2, 0.0, torch.arange(batch)
    while steps < 1 or time.perf_counter() - begun < seconds:
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            loss = model(images, masks.sample(0, max(steps, 0), rows)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        steps += 1
        if steps == 0:  # two to warm up
            if device.type == "cuda":
                torch.cuda.synchronize()
            begun = time.perf_counter()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return batch * steps / (time.perf_counter() - begun)


def ways(images: Images, folder: Path, shorter: int) -> dict[str, Images]:
    """The same images kept in each way."""
    return {
        "files": images,
        f"pixels, {shorter}": pack(images, folder / "small", shorter, default_workers()),
        "pixels, whole": pack(images, folder / "whole", None, default_workers()),
        "resident": resident(images, default_workers()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="ImageNet, with train/ (default: photographs of that size)")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--images", type=int, default=512, help="images to measure on (default: 512)")
    parser.add_argument("--workers", type=int, nargs="+", default=[default_workers()], help="processes, beside none")
    parser.add_argument("--shorter", type=int, default=256, help="shorter side of packed pixels (default: 256)")
    parser.add_argument("--seconds", type=float, default=3, help="to measure each (default: 3)")
    parser.add_argument("--batch", type=int, default=256, help="of the step that is fed (default: 256)")
    parser.add_argument("--need", type=float, help="images/s to feed, instead of measuring a step here")
    parser.add_argument("--set", type=setting, action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, help="keep the figures in this JSON file, e.g. results/speed.json")
    parser.add_argument("--section", default="data loading", help="their name there (default: data loading)")
    arguments = parser.parse_args()
    config = PretrainConfig.from_scale(load_preset(arguments.preset)["scale"], **dict(arguments.settings))
    device = best_device()
    if arguments.need is None:
        batch = arguments.batch if device.type == "cuda" else 8
        need, where = eaten(config, device, batch, arguments.seconds), f"measured on {device.type}"
    else:
        need, where = arguments.need, "as given"
    sizes = f"{config.image_size} px, patch {config.patch}, {config.width} wide, {config.depth} deep"
    print(f"a step at ratio {config.mask_ratio:g} ({sizes}) eats {need:,.0f} images/s, {where}")
    rows = []
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        whole = imagenet("train", arguments.root or photographs(folder / "made", arguments.images))
        chosen = np.linspace(0, len(whole) - 1, min(arguments.images, len(whole))).astype(int)
        images = type(whole)(whole.root, whole.paths[chosen], whole.labels[chosen])
        print(f"{'kept as':>14} {'CPU ms/image':>12} {'cores to feed it':>17}   images/s by workers")
        for name, kept in ways(images, folder, arguments.shorter).items():
            speed, cost = prepared(kept, config, 0, arguments.seconds)
            found = {0: speed}
            for workers in arguments.workers:
                found |= {workers: prepared(kept, config, workers, arguments.seconds)[0]} if workers else {}
            listed = ", ".join(f"{workers}: {speed:,.0f}" for workers, speed in found.items())
            print(f"{name:>14} {1000 * cost:>12.1f} {need * cost:>17.1f}   {listed}", flush=True)
            row = {"kept as": name, "CPU ms an image": round(1000 * cost, 2), "images/s": round(max(found.values()))}
            wanted = {"needed, images/s": float(f"{need:.3g}"), "cores to feed it": float(f"{need * cost:.2g}")}
            rows.append(row | wanted)
    about = {"preset": arguments.preset, "settings": dict(arguments.settings), "need": where, "device": device.type}
    record(arguments.out, arguments.section, rows, about | {"workers": arguments.workers, "images": len(images)})


if __name__ == "__main__":
    main()
