"""The results of a series of runs: computed here, or read from the folders that `python -m mae_lib series` writes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mae_lib.claims.claims import Claim, Verdict, load_claims
from mae_lib.claims.verdicts import decide
from mae_lib.folders import published_folder
from mae_lib.presets import SERIES_RATIO, load_preset
from mae_lib.studies import Reader, Scores, Section
from mae_lib.studies.image_scores import read_image_scores
from mae_lib.studies.publish import finished_seeds, shipped_runs
from mae_lib.studies.scores import measure_all, readers, section_of
from mae_lib.studies.series import Mask, Series
from mae_lib.training import Run
from mae_lib.training.checkpoints import read_json


@dataclass(frozen=True)
class Results:
    """The models and scores of a series: computed here if missing, or read from a folder of published ones.

    Published `scores` are means over images; `image_scores` has one per image, as have scores computed here.
    """

    series: Series
    directory: Path | None = None  # of published results; None if computed here

    @classmethod
    def open(cls, directory: str | Path) -> "Results":
        """The results of a folder, for its finished seeds. Raises ValueError where there are none."""
        directory = Path(directory)
        seeds = seeds_of(directory)
        if not seeds:
            raise ValueError(f"{directory} holds no finished results: python -m mae_lib series writes them")
        return cls(Series.from_parameters(load_preset(directory / "preset.yaml") | {"seeds": seeds}), directory)

    @property
    def made(self) -> bool:
        """Whether models and scores are computed here, instead of read from a folder."""
        return self.directory is None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.directory.name

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The preset that was run, with the seeds that are finished."""
        return load_preset(self.directory / "preset.yaml") | {"seeds": seeds_of(self.directory)}

    @cached_property
    def provenance(self) -> dict[str, Any]:
        return read_json(self.directory / "provenance.json")

    @cached_property
    def _rows(self) -> pd.DataFrame:
        tables = (self.directory / name for name in ("scores.csv", "detection.csv"))  # the second is from `detect`
        return pd.concat([pd.read_csv(path) for path in tables if path.is_file()], ignore_index=True)

    @property
    def superseded(self) -> bool:
        """Whether other runs have replaced these as evidence for the claims: `superseded.md` says why."""
        return (self.directory / "superseded.md").is_file()

    @property
    def size(self) -> tuple[int, int]:
        """The side of an image in pixels, and the images that a run visits."""
        return self.series.scale["image_size"], self.series.scale["images"]

    def holding(self, section: str) -> "Results | None":
        """The same with only the masks that a section was measured for; None if it was not.

        A section with a record of its own, `<section>.json`, was measured with the scale given there.
        """
        rows = self._rows[(self._rows["section"] == section) & (self._rows["reader"] == "trained")]
        measured = {_reader(row) for row in rows.itertuples()}
        configs = {mask: config for mask, config in self.series.configs.items() if mask in measured}
        own = self.directory / f"{section}.json"
        scale = read_json(own)["parameters"]["scale"] if own.is_file() else self.series.scale
        return Results(Series(configs, scale), self.directory) if configs else None

    def training(self) -> pd.DataFrame:
        """The cost of each pretraining run: ratio, unit, seed, loss, `images_per_second`, seconds and device."""
        return pd.read_csv(self.directory / "training.csv")

    def runs(self) -> dict[Mask, Run]:
        """The run of every mask; for a folder, those whose encoders it ships. Raises ValueError if it has none."""
        if self.made:
            return self.series.train()
        found = {mask: run for mask, run in shipped_runs(self.directory).items() if mask in self.series.configs}
        if not found:
            raise ValueError(f"{self.directory} ships no encoders: publish them with --ship 1, or train them here")
        return {mask: found[mask] for mask in self.series.configs if mask in found}

    def section(self, name: str, **options: Any) -> Section:
        """A section's images, truths and measurements. Raises ValueError for options that were not published."""
        asked = section_of(name, self.series, **options)
        if not self.made and name == "shape_bias":
            held = section_of(name, self.series)
            if missing := sorted(set(asked.strengths) - set(held.strengths)):
                raise ValueError(f"cue strengths {missing} are not among those published, {held.strengths}")
        return asked

    def scores(self, section: Section | str) -> dict[Reader, dict[str, Any]]:
        """The scores of every reader of a section: a number for each image, or the published means."""
        section = self.section(section) if isinstance(section, str) else section
        if self.made:
            return measure_all(section, self.series)
        found: dict[Reader, dict[str, np.float64]] = {reader: {} for reader in readers(section, self.series)}
        for row in self._rows[self._rows["section"] == section.name].itertuples():
            if (reader := _reader(row)) in found:
                found[reader][row.metric] = np.float64(row.value)
        if section.name == "shape_bias":
            found = {reader: _at_strength(scores, section.cue_strength) for reader, scores in found.items()}
        return section_of(section.name, self.series).derived(found)

    def image_scores(self, section: Section | str) -> dict[Reader, Scores]:
        """The scores of a section image by image, with derived scores; empty if only means are published."""
        section = self.section(section) if isinstance(section, str) else section
        if self.made:
            return self.scores(section)
        wanted = readers(section, self.series)
        held = {r: one for r, one in read_image_scores(self.directory, section.name).items() if r in wanted}
        return section.derived(_paired(held)) if held else {}

    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on every claim of Section 3 at this scale, by id."""
        claims = [claim for claim in load_claims().values() if claim.measured]
        held = {name: self._held(self.section(name)) for name in {claim.measured for claim in claims}}
        return {claim.id: decide(claim, self._table(claim, *held[claim.measured])) for claim in claims}

    def evidence(self, claim: Claim, section: Section | None = None) -> pd.DataFrame:
        """The table that decides a claim, without missing measurements: image by image, or means with their counts.

        `section` is that of the claim's page, with its own options.
        """
        return self._table(claim, *self._held(section or self.section(claim.measured)))

    def _held(self, section: Section) -> tuple[str, dict[Reader, dict[str, Any]], dict[Reader, Scores]]:
        return section.name, self.scores(section), self.image_scores(section)

    def _table(
        self, claim: Claim, section: str, scores: dict[Reader, dict[str, Any]], images: dict[Reader, Scores]
    ) -> pd.DataFrame:
        if images and all(set(images.get(r, ())) >= set(one) & set(claim.metrics) for r, one in scores.items()):
            scores = images
        kept = {r: {m: v for m, v in s.items() if m in claim.reads} for r, s in scores.items()}
        if not any(kept.values()):
            return pd.DataFrame()
        table = encoder_table(self.series, kept) if claim.series == "encoder" else self.series.tidy(claim.series, kept)
        if "image" in table:
            return table
        counts = self._rows[self._rows["section"] == section].groupby("metric")["count"].min()
        return table.assign(count=table["metric"].map(counts).fillna(counts.max()))


def _paired(scores: dict[Reader, Scores]) -> dict[Reader, Scores]:
    """The scores without metrics whose images differ between readers, for which only means can be compared.

    IN-A is what an untrained encoder misses, which may differ between machines.
    """
    counts: dict[str, set[int]] = {}
    for one in scores.values():
        for metric, values in one.items():
            counts.setdefault(metric, set()).add(len(values))
    return {reader: {m: v for m, v in one.items() if len(counts[m]) == 1} for reader, one in scores.items()}


def _reader(row: Any) -> Reader:
    if row.reader == "trained":
        return (float(row.ratio), int(row.unit), int(row.seed))
    return (row.reader,) if pd.isna(row.seed) else (row.reader, int(row.seed))


def _at_strength(scores: dict[str, np.float64], strength: float) -> dict[str, np.float64]:
    """The scores with the bias and accuracies of this cue strength under their plain names."""
    plain = {name: scores[f"{name} at {strength:g}"] for name in ("shape bias", "shape accuracy", "texture accuracy")}
    return scores | plain


def encoder_table(series: Series, scores: dict[Reader, dict[str, Any]]) -> pd.DataFrame:
    """A tidy table by encoder, "trained" (ratio 0.75, the scale's unit), "untrained" and "pixels", paired by seed.

    Columns encoder, seed, metric, image (for scores per image) and value.
    """
    tables, images = [], False
    for seed in sorted({seed for _, _, seed in series.configs}):
        who = {"trained": (SERIES_RATIO, series.scale["unit"], seed), "untrained": ("untrained", seed)}
        for encoder, reader in (who | {"pixels": ("pixels",)}).items():
            for metric, numbers in scores.get(reader, {}).items():
                images |= np.ndim(numbers) > 0
                about = {"encoder": encoder, "seed": seed, "metric": metric}
                tables.append(pd.DataFrame({**about, "value": np.atleast_1d(numbers)}))
    whole = pd.concat(tables).rename_axis("image").reset_index()
    return whole[["encoder", "seed", "metric", *(["image"] if images else []), "value"]]


def seeds_of(directory: Path) -> list[int]:
    """The finished seeds of a folder of published results; none if it is not such a folder."""
    files = ("preset.yaml", "scores.csv", "training.csv", "provenance.json")
    if not all((directory / name).is_file() for name in files):
        return []
    return finished_seeds(directory, load_preset(directory / "preset.yaml"))


def published(section: str | None = None) -> list[Results]:
    """Every folder of finished results, the smallest scale first; with `section`, only the part with that section."""
    folders = [path for path in sorted(published_folder().glob("*")) if path.is_dir() and seeds_of(path)]
    found = [Results.open(path) for path in folders]
    found = [one for one in (one.holding(section) if section else one for one in found) if one]
    return sorted(found, key=lambda one: (one.series.scale["image_size"], one.series.scale["images"]))


def strongest_run(section: str) -> Results:
    """The published run of a section with the most seeds; ties go to the most masks, since pages show both series, then
    to larger images, then to more images.

    A folder with a file `superseded.md`, which says why, is only a record and comes last. Raises ValueError if there is
    none.
    """
    held = published(section)
    if not held:
        raise ValueError(f"{published_folder()} holds no published results of {section!r}: choose a preset that trains")
    return max(held, key=lambda one: (not one.superseded, len(one.series.seeds), len(one.series.configs), *one.size))
