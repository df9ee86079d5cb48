"""Scores over training: a section's scores of a run at its start and of each intermediate model."""

from mae_lib.studies import Scores, Section
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Mask, Series
from mae_lib.training import find


def curve(section: Section, series: Series, mask: Mask, device: str = "cpu") -> dict[int, Scores]:
    """The scores of a mask's model by the number of images visited, from 0; empty if no snapshots were kept.

    Raises ValueError for a mask that has not been trained.
    """
    run = find(series.configs[mask])
    if run is None:
        raise ValueError("the model of ratio {:g}, unit {} px and seed {} has not been trained".format(*mask))
    scores = {images: section.on_the_way(model) for images, model in run.snapshots(device)}
    start = {0: section.on_the_way(untrained(series.scale, mask[2]).to(device))} if scores else {}
    return {images: found for images, found in (start | scores).items() if found}
