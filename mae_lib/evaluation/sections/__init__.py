"""Section 3, measured in one place: the pages, `python -m mae_lib series` and published results share these scores."""

from mae_lib.evaluation.sections.attention import Attention
from mae_lib.evaluation.sections.detection import Detection
from mae_lib.evaluation.sections.pretraining import Pretraining
from mae_lib.evaluation.sections.reconstruction import Reconstruction
from mae_lib.evaluation.sections.section import Reader, Scores, Section
from mae_lib.evaluation.sections.separability import Separability
from mae_lib.evaluation.sections.shape_bias import ShapeOrTexture

SECTIONS: dict[str, type[Section]] = {
    section.name: section
    for section in (Pretraining, Reconstruction, Attention, Separability, ShapeOrTexture, Detection)
}

__all__ = ["SECTIONS", "Reader", "Scores", "Section"]
