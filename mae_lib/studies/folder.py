"""Section 3 on a folder of your own: the probe, reconstructions and attention, on the available images.

The folder's images have no outlines or variants, so scores that need them are not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mae_lib.studies.attention import AttentionWithoutOutlines
from mae_lib.studies.pretraining import Pretraining
from mae_lib.studies.reconstruction import Reconstruction
from mae_lib.studies.section import Section
from mae_lib.training.folder import ImageFolder


class OnFolder:
    """Limits the number of images to the size of a split."""

    world: ImageFolder
    scale: Mapping[str, Any]

    def __post_init__(self) -> None:
        counts = {f"{split}_images": len(self.world.images(split)) for split in ("probe", "test")}
        fewer = {name: min(count, self.scale.get(name, count)) for name, count in counts.items()}
        object.__setattr__(self, "scale", {**self.scale, **fewer})


@dataclass(frozen=True)
class FolderPretraining(OnFolder, Pretraining):
    """The probe of the class. Raises ValueError for a folder without classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.world.class_names:
            wanted = "two or more subfolders of images, and none beside them"
            raise ValueError(f"{self.world.files.root} has no classes to probe: it should hold {wanted}")


@dataclass(frozen=True)
class FolderReconstruction(OnFolder, Reconstruction):
    """Figure 5 on the folder's own test images, which are photographs themselves."""

    photographs: bool = False


@dataclass(frozen=True)
class FolderAttention(OnFolder, AttentionWithoutOutlines):
    """The reach of the central token and its attention to itself; nothing that needs an outline."""


SECTIONS: dict[str, type[Section]] = {
    section.name: section for section in (FolderPretraining, FolderReconstruction, FolderAttention)
}
