"""Section 3, measured in one place: the pages, `python -m mae_lib series` and published results share these scores."""

from importlib import import_module

from mae_lib.studies.attention import Attention
from mae_lib.studies.pretraining import Pretraining
from mae_lib.studies.reconstruction import Reconstruction
from mae_lib.studies.section import Reader, Scores, Section
from mae_lib.studies.separability import Separability
from mae_lib.studies.shape_bias import ShapeOrTexture
from mae_lib.worlds import World

SECTIONS: dict[str, type[Section]] = {
    section.name: section for section in (Pretraining, Reconstruction, Attention, Separability, ShapeOrTexture)
}
DETECTION = "detection"  # Section 3.5, which needs a COCO API: it has its own subpackage and command


def section_class(name: str, world: World) -> type[Section]:
    """The class that measures a section on a kind of world: from the module that the world names, else the default."""
    own = import_module(world.sections).SECTIONS if world.sections else {}
    if name == DETECTION and name not in own:
        return import_module("mae_lib.transfer.section").Detection
    return own.get(name) or SECTIONS[name]


__all__ = ["DETECTION", "SECTIONS", "Reader", "Scores", "Section", "section_class"]
