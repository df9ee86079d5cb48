"""Section 3, measured in one place: the pages, `python -m mae_lib series` and published results share these scores."""

from importlib import import_module

from mae_lib.evaluation.sections.attention import Attention
from mae_lib.evaluation.sections.detection import Detection
from mae_lib.evaluation.sections.pretraining import Pretraining
from mae_lib.evaluation.sections.reconstruction import Reconstruction
from mae_lib.evaluation.sections.section import Reader, Scores, Section
from mae_lib.evaluation.sections.separability import Separability
from mae_lib.evaluation.sections.shape_bias import ShapeOrTexture
from mae_lib.worlds import World

SECTIONS: dict[str, type[Section]] = {
    section.name: section
    for section in (Pretraining, Reconstruction, Attention, Separability, ShapeOrTexture, Detection)
}


def section_class(name: str, world: World) -> type[Section]:
    """What measures a section on this kind of world: what the module that the world names has of its own, else ours."""
    if named := getattr(world, "sections", None):
        return import_module(named).SECTIONS.get(name, SECTIONS[name])  # other worlds do not depend on its code
    return SECTIONS[name]


__all__ = ["SECTIONS", "Reader", "Scores", "Section", "section_class"]
