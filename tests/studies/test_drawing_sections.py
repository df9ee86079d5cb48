"""Section 3 on a pack of five concepts: the names that claims read, and what must hold of each score."""

import numpy as np
import pytest
import torch

from mae_lib.metrics.across_designers import across_hands
from mae_lib.presets import load_preset
from mae_lib.studies import SECTIONS, section_class
from mae_lib.studies.drawings import mosaic
from mae_lib.studies.drawn_separability import DrawnSeparability
from mae_lib.studies.scores import measure, measure_all, readers, section_of
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Series
from mae_lib.transfer.section import Detection
from mae_lib.worlds import make_world

OF_FIGURINES = ("corners probe", "texture probe")  # levels that drawings do not have
MASK, FRESH = (0.75, 8, 0), ("untrained", 0)


@pytest.fixture
def series(drawn_tiny, monkeypatch) -> Series:
    """Two masks of two steps on a pack of five concepts, measured before."""
    monkeypatch.setenv("MAE_LIB_RUNS", str(drawn_tiny / "runs"))
    monkeypatch.setenv("MAE_LIB_DRAWINGS", str(drawn_tiny / "pack"))
    return Series.from_parameters(load_preset(drawn_tiny / "drawn.yaml"))


def test_a_world_names_what_measures_it(series):
    assert section_class("separability", series.world) is DrawnSeparability
    assert section_class("detection", series.world) is Detection
    assert section_class("separability", make_world("figurines")) is SECTIONS["separability"]


def test_every_claim_finds_its_metrics_but_those_of_parts_and_corners(series):
    from mae_lib.claims.claims import load_claims

    sections = [section_of(name, series) for name in SECTIONS]
    who = {section.name: [reader for reader in readers(section, series) if len(reader) > 1] for section in sections}
    found = {section.name: measure_all(section, series, who[section.name]) for section in sections}
    for claim in load_claims().values():
        if claim.measured in found:
            there = {metric for scores in found[claim.measured].values() for metric in scores}
            lacking = [metric for metric in claim.metrics if metric not in there]
            assert all("part" in name or name in OF_FIGURINES for name in lacking), (claim.id, lacking)
    for scores in found.values():
        assert all(values.ndim == 1 and len(values) for one in scores.values() for values in one.values())


def test_probes_are_of_the_right_images(series):
    section = section_of("separability", series)
    scores = measure(section, series, FRESH)
    assert np.array_equal(scores["class probe"], scores["IN1K"])
    assert len(scores["IN-A"]) == (~section.easy).sum()
    hands = {column: set(section.read_world.hands) for column in section.sets}
    assert hands["IN1K"] == {"openmoji", "fluent-flat", "fluent-modern", "fluent-3d"}
    assert len({one.images.numpy().tobytes() for one in section.sets.values()}) == 6
    assert np.array_equal(section.sets["OJN"].labels, section.sets["IN1K"].labels)
    opening = measure(section_of("pretraining", series), series, FRESH)["class probe accuracy"]
    assert np.array_equal(opening, scores["class probe"])  # one probe


def test_the_concept_and_the_designer_win_where_the_features_say_so():
    concepts, hands = np.arange(24) % 6, np.arange(24) // 6
    one_hot = lambda numbers: np.eye(1 + numbers.max())[numbers]  # noqa: E731
    for features, name in ((one_hot(concepts), 1.0), (one_hot(hands), 0.0)):
        noisy = features + 1e-3 * np.random.default_rng(0).normal(size=features.shape)
        found = across_hands(noisy, concepts, hands, noisy, concepts, hands)
        assert np.all(found["concept nearer than designer"] == name)
        if name:
            assert np.all(found["concept across designers"] == 1)
    blind = across_hands(np.zeros((24, 3)), concepts, hands, np.zeros((4, 3)), concepts[:4], hands[:4])
    assert np.all(blind["concept nearer than designer"] == 0.5)
    one = one_hot(concepts[:6]), concepts[:6], hands[:6]
    alone = across_hands(*one, *one)
    assert np.isnan(alone["concept nearer than designer"]).all()


def test_the_mosaic_is_the_mean_of_each_unit_and_scores_itself_perfectly(series):
    images = torch.rand(2, 3, 20, 20)
    made = mosaic(images, 8)
    assert torch.allclose(made[:, :, 3, 12], images[:, :, :8, 8:16].mean((2, 3)), atol=1e-6)
    assert torch.allclose(made[:, :, 19, 19], images[:, :, 16:, 16:].mean((2, 3)), atol=1e-6)
    assert torch.allclose(mosaic(made, 8), made, atol=1e-6)
    scores = measure(section_of("reconstruction", series), series, MASK)
    assert np.allclose(10 ** (-scores["mosaic: masked PSNR"] / 10), -scores["mosaic: masked negative MSE"])
    assert scores["mosaic: masked SSIM"].mean() > scores["mosaic: SSIM"].mean()  # some of it is the original


def test_attention_is_scored_on_the_drawing(series):
    section = section_of("attention", series)
    uniform = measure(section, series, ("uniform",))
    covered = section.object.mean(1).numpy()
    assert np.allclose(uniform["share of the class token on the object"], covered, atol=1e-5)
    assert np.allclose(uniform["class token on the object"], 0.5)
    assert np.allclose(uniform["class token tells object and background apart"], 0)
    perfect = section.of_maps((section.object / section.object.sum(1, keepdim=True))[:, None])
    assert perfect["class token on the object"].min() > 0.9
    scores = measure(section, series, MASK)
    apart = np.abs(scores["class token on the object"] - 0.5)
    assert np.allclose(apart, scores["class token tells object and background apart"])
    assert not np.allclose(scores["class token on the object"], scores["another image: class token on the object"])


def test_shape_and_texture_are_of_different_concepts(series):
    section = section_of("shape_bias", series)
    assert not (section.cues["test"]["class"] == section.cues["test"]["texture"]).any()
    scores = measure(section, series, FRESH)
    assert np.array_equal(scores["decided"], scores["shape accuracy"] + scores["texture accuracy"])
    hits = scores["shape accuracy"].sum(), scores["texture accuracy"].sum()
    assert scores["shape bias"].mean() == pytest.approx(hits[0] / sum(hits))
    assert np.array_equal(scores["shape bias"], scores["shape bias at 1"])
    prefers = scores["shape rather than texture"]
    assert prefers[scores["shape accuracy"] == 1].all() and not prefers[scores["texture accuracy"] == 1].any()


def test_two_readers_do_not_share_a_probe(series):
    section = section_of("separability", series)
    looks = [section.look(("untrained", seed), untrained(series.scale, seed)) for seed in (0, 1, 0)]
    assert not np.allclose(looks[0].mean, looks[1].mean) and np.array_equal(looks[0].mean, looks[2].mean)


def test_a_supervised_encoder_is_trained_once_for_all_sections(series, monkeypatch):
    section = section_of("attention", series)
    assert readers(section, series)[:3] == [("uniform",), FRESH, ("supervised", 0)]
    first = section.supervised(0, "cpu")
    monkeypatch.setattr("mae_lib.training.supervised.train_classifier", lambda *_: pytest.fail("trained twice"))
    second = section_of("shape_bias", series).supervised(0, "cpu")
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))
    start, there = untrained(series.scale, 0).state_dict(), first.state_dict()
    moved = {name for name in there if not torch.equal(start[name], there[name])}
    assert "blocks.0.attn.qkv.weight" in moved and not any(name.startswith("decoder") for name in moved)
    assert not first.has_decoder
