"""A small encoder, a few scenes in COCO's format, and a miniature of COCO itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mae_lib.training import MAE
from mae_lib.transfer.coco import CocoSplit
from mae_lib.transfer.drawn import drawn
from mae_lib.transfer.finetune import DetectionConfig
from mae_lib.transfer.model import DetectorSizes
from mae_lib.transfer.scenes import Scenes

SIZES = DetectorSizes(
    channels=16, scales=(2, 1), head_convs=0, head_width=16, sampling=1, proposals=16, samples=16, detections=8
)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mae() -> MAE:
    torch.manual_seed(0)
    model = MAE(32, 8, width=16, depth=2, heads=2, decoder_width=16, decoder_heads=2, pixel_mean=(0.5,) * 3)
    torch.nn.init.normal_(model.norm.bias)  # a norm that does something
    return model.eval()


@pytest.fixture(scope="session")
def config() -> DetectionConfig:
    small = {"size": 32, "images": 24, "batch": 4, "lr": 2e-3, "jitter": None, "flip": True, "clip": 1.0}
    return DetectionConfig(**small, sizes=SIZES)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> dict[str, CocoSplit]:
    """Twelve scenes to learn from and eight others; some are empty."""
    world = Scenes(size=32, side=(10.0, 20.0), objects=(0, 2))
    return drawn(world, {"train": 12, "val": 8}, tmp_path_factory.mktemp("scenes"))


def square(x: int, y: int, side: int) -> list[list[float]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


@pytest.fixture
def coco(tmp_path) -> Path:
    """COCO's layout and category ids: four photographs of several sizes; a crowd, an empty one, polygons and RLE."""
    sizes = {9: (40, 30), 25: (30, 50), 30: (64, 64), 34: (20, 20)}
    crowd = {"size": [64, 64], "counts": [64 * 10, 64 * 12, 64 * 42]}  # columns 10 to 21, as COCO writes crowds
    objects = [
        (9, 1, square(5, 6, 10), 0, [5, 6, 10, 10]),
        (9, 90, square(20, 10, 8), 0, [20, 10, 8, 8]),
        (25, 44, square(3, 20, 20), 0, [3, 20, 20, 20]),
        (30, 1, square(40, 20, 16), 0, [40, 20, 16, 16]),
        (30, 1, crowd, 1, [10, 0, 12, 64]),
        (30, 44, square(30, 50, 0), 0, [30, 50, 0, 0]),  # COCO has some boxes without an inside
    ]
    names = {1: "person", 44: "bottle", 90: "toothbrush"}
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        (tmp_path / f"{split}2017").mkdir()
        images = []
        for number, (width, height) in sizes.items():
            pixels = generator.integers(0, 255, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{split}2017" / f"{number:012d}.jpg")
            images.append({"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height})
        fields = ("image_id", "category_id", "segmentation", "iscrowd", "bbox")
        annotations = [{"id": 100 + k, "area": 1.0, **dict(zip(fields, one))} for k, one in enumerate(objects)]
        content = {"images": images, "annotations": annotations}
        content["categories"] = [{"id": k, "name": name, "supercategory": "thing"} for k, name in names.items()]
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
    return tmp_path
