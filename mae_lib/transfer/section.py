"""Section 3.5: average precision of a Mask R-CNN fine-tuned from an encoder, for boxes and masks."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from torchvision.models.detection import MaskRCNN

from mae_lib.studies import Separability, section_class
from mae_lib.studies.section import Reader, Scores, Section, joined, over
from mae_lib.training import MAE, Hardware
from mae_lib.transfer.coco import CocoSplit, coco_folder
from mae_lib.transfer.drawn import drawn
from mae_lib.transfer.drawn_scenes import DrawnScenes
from mae_lib.transfer.finetune import DetectionConfig, finetune
from mae_lib.transfer.scenes import Scenes
from mae_lib.transfer.scoring import score

SCENES = {"scenes": Scenes, "drawings": DrawnScenes}


@dataclass(frozen=True)
class Detection(Section):
    """AP and AP50 of boxes and masks, in percent, as contributions of images; fresh weights are "from scratch".

    `folder` is COCO's, by default `$MAE_LIB_COCO`; scenes need none.
    """

    name: ClassVar[str] = "detection"

    folder: str | None = None
    hardware: Hardware = Hardware()

    @property
    def baselines(self) -> tuple[str, ...]:
        """Fresh weights, and an encoder trained on labels if the probes of this world have one."""
        return "untrained", *(name for name in self._probes.baselines if name == "supervised")

    @property
    def _probes(self) -> Section:
        return section_class(Separability.name, self.world)(self.world, self.scale, self.cache)

    def supervised(self, seed: int, device: str) -> MAE:
        return self._probes.supervised(seed, device)

    @cached_property
    def data(self) -> dict[str, CocoSplit]:
        """The data for training, "train", and for scoring, "val". Raises CocoError for data that is missing or has no
        object."""
        if "detection_data" not in self.scale:
            raise ValueError("the scale has no detection_... settings: its preset leaves Section 3.5 out")
        counts = {"train": self.scale["detection_train"], "val": self.scale["detection_test"]}
        what = self.scale["detection_data"]
        if what not in (known := (*SCENES, "coco")):
            raise ValueError(f"detection_data is {what!r}: choose one of {', '.join(known)}")
        if what == "coco":
            folder = coco_folder(self.folder)
            train = CocoSplit(folder, "train", counts["train"])
            found = {"train": train, "val": CocoSplit(folder, "val", counts["val"], like=train)}
        else:
            given = self.scale["detection_scenes"].items()
            options = {name: tuple(value) if isinstance(value, list) else value for name, value in given}
            found = drawn(SCENES[what](size=self.scale["detection_size"], **options), counts, self.cache)
        for split in found.values():
            split.check_objects()
        return found

    @property
    def options(self) -> dict[str, Any]:
        return {"data": {split: data.key for split, data in self.data.items()}}

    def detector(self, reader: Reader, model: MAE) -> MaskRCNN:
        """The detector that starts from the encoder of `model`, fine-tuned if need be, in eval mode.

        In a pretrained encoder, lower layers have lower learning rates; from scratch all layers have the same.
        """
        scratch = reader[0] == "untrained"
        config = DetectionConfig.from_scale(self.scale, seed=reader[-1], **({"layer_decay": 1.0} if scratch else {}))
        name = "r{:g}-u{}".format(*reader) if len(reader) == 3 else "scratch" if scratch else reader[0]
        return finetune(config, model, self.data["train"], name, hardware=self.hardware)

    def derived(self, scores: dict[Reader, Scores]) -> dict[Reader, Scores]:
        """Adds the gain of each AP over a detector from scratch with the same seed."""
        return joined(scores, *(over(scores, metric, ("untrained",), "scratch") for metric in ("AP box", "AP mask")))

    def measure(self, reader: Reader, model: MAE | None) -> Scores:
        allowed = DetectionConfig.from_scale(self.scale).max_broken
        return score(self.detector(reader, model), self.data["val"], allowed).contributions
