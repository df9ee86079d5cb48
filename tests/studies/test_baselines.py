"""The four readers: what they must find on a world whose difficulty is known, and what they refuse."""

import json

import pytest

from mae_lib.__main__ import main
from mae_lib.studies.baselines import READERS, baseline_accuracies
from mae_lib.training import Hardware, PretrainConfig

SMALL = {"width": 16, "depth": 1, "heads": 2, "decoder_width": 16, "decoder_heads": 2}
COUNTS = {
    "train_images": 240,
    "test_images": 80,
    "supervised_images": 240,
    "visits": 640,
    "hardware": Hardware(progress=False),
}


def test_readers_find_what_is_easy_and_guess_where_nothing_can_be_learned():
    """Plain figurines on their grid are templates; tests drawn with parts far from training's leave little of that."""
    config = PretrainConfig(
        world_options={"classes": 4, "jitter": 0.0, "synonyms": 1, "texture_contrast": 0.0}, **SMALL
    )
    easy = baseline_accuracies(config, **COUNTS)
    hard = baseline_accuracies(config, {"variant": "odd_pose", "synonyms": 4}, **COUNTS)
    assert tuple(easy["accuracy"]) == READERS and easy["chance"] == 0.25
    assert easy["accuracy"]["pixels, 20 neighbours"] > 0.9
    assert hard["accuracy"]["pixels, 20 neighbours"] < 0.6
    assert easy == baseline_accuracies(config, **COUNTS)


def test_the_command_prints_each_reader_and_adds_to_a_list(tmp_path, capsys):
    out = tmp_path / "trials.json"
    command = ["readers", "--preset", "smoke", "--quiet", "--out", str(out), "--train-images", "60"]
    command += ["--test-images", "20", "--supervised-images", "60", "--visits", "64"]
    assert main(command) == 0 and main([*command, "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert all(reader in printed for reader in (*READERS, "chance"))
    assert [trial["seed"] for trial in json.loads(out.read_text())] == [0, 1]
    out.write_text("{}")
    assert main(command) == 2
    assert "trials.json is no list of trials: give another file" in capsys.readouterr().err and out.read_text() == "{}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"visits": 3}, "visits is 3: it must be at least one batch, 32"),
        ({"test_images": 0}, "test_images is 0: it must be at least 1"),
        ({"test_options": {"classes": 8}}, "the test world has 8 classes, not 12: they must be the same"),
    ],
)
def test_bad_settings_are_refused_before_work_starts(settings, message):
    with pytest.raises(ValueError, match=message):
        baseline_accuracies(PretrainConfig(**SMALL), **settings)
