"""Section 3's measurements as one: every score by its name, measured once, the same as the functions behind it say."""

import numpy as np
import pytest
import torch

from mae_lib.metrics.attention import attention_maps, attention_scores
from mae_lib.metrics.probes import features, linear_probe
from mae_lib.metrics.reconstruction import score_reconstructions
from mae_lib.studies import SECTIONS
from mae_lib.studies.scores import measure, measure_all, readers, scores_file, section_of
from mae_lib.studies.section import untrained
from mae_lib.studies.series import Series

SCALE = {"unique_images": 16, "images": 32, "batch": 16, "width": 16, "decoder_width": 16, "depth": 1}
SCALE |= {"test_images": 48, "probe_images": 96}
MASK = (0.75, 8, 0)


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Series:
    """Two masks, trained for two steps, in a runs folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAE_LIB_RUNS", str(tmp_path_factory.mktemp("runs")))
        made = Series.of("smoke", [0.75, 0.9], [8], [0], SCALE)
        made.train(device="cpu")
        yield made


def test_readers_are_those_without_training_and_every_mask_that_is_read(series):
    found = {name: readers(section_of(name, series), series) for name in SECTIONS}
    masks = [MASK, (0.9, 8, 0)]
    assert found["reconstruction"] == masks
    assert found["attention"] == [("uniform",), ("untrained", 0), *masks]
    assert found["separability"] == [("pixels",), ("nothing",), ("untrained", 0), *masks]
    assert found["pretraining"] == [("pixels",), ("untrained", 0), MASK]


def test_what_was_measured_is_read_and_kept_beside_its_run(series, monkeypatch):
    section = section_of("reconstruction", series)
    first, file = measure(section, series, MASK), scores_file(section, series, MASK)
    assert file.parent.parent.name == series.configs[MASK].name and not list(file.parent.glob("*.tmp"))
    monkeypatch.setattr(type(section), "measure", lambda *_: pytest.fail("measured twice"))
    again = measure(section_of("reconstruction", series), series, MASK)
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_a_measurement_that_breaks_off_leaves_nothing(series, monkeypatch):
    section = section_of("pretraining", series)

    def fail(*_):
        raise RuntimeError("the power went")

    monkeypatch.setattr(type(section), "measure", fail)
    with pytest.raises(RuntimeError, match="the power went"):
        measure(section, series, ("untrained", 0))
    assert not scores_file(section, series, ("untrained", 0)).exists()


def test_sizes_and_options_name_the_scores(series):
    longer = Series.of("smoke", [0.75, 0.9], [8], [0], SCALE | {"test_images": 47})
    keys = {section_of("attention", one).key for one in (series, longer)}
    keys |= {section_of("shape_bias", series, cue_strength=s).key for s in (0.5, 1.0)}
    assert len(keys) == 4
    assert section_of("shape_bias", series).key == section_of("shape_bias", series, cue_strength=1.0).key


def test_a_mask_that_nobody_trained_is_named(series):
    other = Series.of("smoke", [0.5], [8], [0], SCALE)
    with pytest.raises(ValueError, match=r"ratio 0\.5, unit 8 px and seed 0 has not been trained"):
        measure(section_of("reconstruction", other), other, (0.5, 8, 0))
    with pytest.raises(ValueError, match="section 'transfer' is unknown: choose one of pretraining"):
        section_of("transfer", series)


def test_reconstruction_scores_are_those_of_the_function_with_errors_negated(series):
    section, model = section_of("reconstruction", series), series.train()[MASK].load()
    scores, images = measure(section, series, MASK), series.world.sample(torch.arange(48), "test").images
    direct = score_reconstructions(model, images)
    assert np.allclose(scores["SSIM"], direct["ssim"]) and np.allclose(scores["negative MSE"], -direct["mse"])
    assert np.allclose(10 ** (-scores["masked PSNR"] / 10), -scores["masked negative MSE"])
    assert len(scores["photographs: FSIM"]) == 48


def test_attention_scores_are_those_of_the_averaged_maps(series):
    section, model = section_of("attention", series), series.train()[MASK].load()
    scores = measure(section, series, MASK)
    for prefix, images in (("", section.sample.images), ("another image: ", section.sample.images.roll(1, 0))):
        maps = attention_maps(model, images, section.queries)
        direct = attention_scores(maps, section.queries, section.sample.parts, 4)
        assert np.allclose(scores[prefix + "class token on the object"], direct["cls_object"])
        assert np.allclose(scores[prefix + "part token off the background"], 1 - direct["background"])
    heads = [scores[f"class token on the object (head {head})"] for head in (1, 2)]
    assert np.shape(heads) == (2, 48) and (np.min(heads) >= 0) and (np.max(heads) <= 1)
    uniform = measure(section, series, ("uniform",))
    assert np.allclose(uniform["class token on the object"], 0.5)


def test_attention_is_set_apart_either_way_round_and_held_against_a_uniform_map(series):
    section = section_of("attention", series)
    areas = np.array([0.2, 0.3, 0.6])
    fake = {MASK: {"class token on the object": areas, "overlap with the object": areas}}
    fake |= {
        (0.9, 8, 0): {"class token on the object": 1 - areas},
        ("uniform",): {"overlap with the object": areas / 2},
    }
    found = section.derived(fake)
    apart = "object set apart by the class token"
    assert found[MASK][apart].mean() == pytest.approx(abs(areas.mean() - 0.5))
    assert np.allclose(found[MASK][apart], found[0.9, 8, 0][apart])
    assert np.allclose(found[MASK]["overlap over that of a uniform map"], areas / 2)


def test_separability_has_every_level_every_set_and_what_the_planes_differ_by(series):
    section = section_of("separability", series)
    scores = measure_all(section, series)
    assert {f"{level} probe" for level in series.world.levels} <= scores[MASK].keys()
    assert {"IN1K", "IN-v2", "OJN", "IN-R", "IN-A", "IN-S", "digits probe"} <= scores[("pixels",)].keys()
    assert np.array_equal(scores[MASK]["class probe"], scores[MASK]["IN1K"])  # one probe, read twice
    assert len(scores[MASK]["IN-A"]) == (~section.easy).sum()
    own, classes = scores[MASK], min(10, series.world.classes)
    assert np.allclose(own["purity of the class over chance"], own["purity of the class"] - 1 / classes)
    assert np.array_equal(own["IN1K over guessing"], own["IN1K"] - scores[("nothing",)]["IN1K"])
    assert own["IN-A as a share of IN1K"] == [own["IN-A"].mean() / own["IN1K"].mean()]
    lead = own["lead of the mean token over the class token"]
    assert np.array_equal(lead, own["class probe"] - own["class probe (class token)"])
    assert "IN1K over guessing" not in scores[("pixels",)]
    assert np.ptp(section.plane(("pixels",), None), axis=0).min() > 0


def test_the_reader_that_sees_nothing_always_says_the_same(series):
    scores = measure(section_of("separability", series), series, ("nothing",))
    labels = series.world.sample(torch.arange(48), "test").labels.numpy()
    guessed = labels[scores["IN1K"] == 1]
    assert len(set(guessed)) <= 1


def test_shape_bias_at_its_strength_and_over_a_range(series):
    section = section_of("shape_bias", series, cue_strength=0.5, cue_strengths=(0.25,))
    assert section.strengths == [0.0, 0.25, 0.5, 1.0]
    scores = measure(section, series, ("untrained", 0))
    assert np.array_equal(scores["shape accuracy"], scores["shape accuracy at 0.5"])
    assert {f"shape bias at {strength:g}" for strength in section.strengths} <= scores.keys()
    assert not (scores["shape accuracy"] * scores["texture accuracy"]).any()  # no decision is for both


def test_pretraining_reads_raw_pixels_and_fresh_weights(series):
    section = section_of("pretraining", series)
    (x, y), (test_x, test_y) = section.probe, section.test
    fresh = untrained(series.scale, 0)
    expected = linear_probe(features(fresh, x, "mean"), y, features(fresh, test_x, "mean"), test_y).hits
    assert np.array_equal(measure(section, series, ("untrained", 0))["class probe accuracy"], expected)
    raw = linear_probe(x.flatten(1).numpy(), y, test_x.flatten(1).numpy(), test_y).accuracy
    assert measure(section, series, ("pixels",))["class probe accuracy"].mean() == pytest.approx(raw, abs=0.05)
