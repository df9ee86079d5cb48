"""What is shown of the calibration is what its files hold."""

import json

import pytest

from mae_lib.studies.baselines import READERS
from mae_lib.worlds import make_world
from maebook.calibration import ImageSet, baselines_table, image_sets, window_table


def search(folder, **changes):
    trials = [{"world_options": {"classes": 4}, "accuracy": {"supervised": 0.2}}]
    trials.append({"world_options": {"classes": 8, "synonyms": 3}, "accuracy": {"supervised": 0.9}})
    said = {"world": "figurines", "chance": 0.125, "chosen": {"classes": 8}, "why": "so", "search": {"trials": trials}}
    (folder / "some-search.json").write_text(json.dumps(said | changes))


def test_the_last_trial_is_the_one_that_was_frozen(tmp_path):
    search(tmp_path, window={"readers": {"supervised": "above 0.5", "pixels, linear": "below 0.1"}})
    (one,) = image_sets(tmp_path)
    assert one.accuracy == {"supervised": 0.9} and one.options == {"classes": 8}
    assert window_table(one)["found"].tolist() == ["0.900", "-"]
    assert baselines_table([one]).loc["figurines"].to_dict() == {"chance": 0.125, "supervised": 0.9}


def test_a_set_is_suited_where_a_supervised_encoder_reads_twice_what_blind_baselines_do():
    for supervised, suited in ((0.5, True), (0.49, False), (None, False)):
        accuracy = {"pixels, linear": 0.25, "untrained, mean token": 0.1}
        accuracy |= {"supervised": supervised} if supervised else {}
        one = ImageSet("figurines", "some", {}, "so", 0.1, accuracy, {})
        assert one.suited == suited and one.blind == ("pixels, linear", 0.25)


def test_a_search_whose_last_trial_is_another_setting_is_refused(tmp_path):
    search(tmp_path, chosen={"classes": 4})
    with pytest.raises(ValueError, match=r"some-search\.json: the last trial is of .*'classes': 8"):
        image_sets(tmp_path)


def test_the_frozen_settings_are_settings_of_their_worlds():
    sets = image_sets()
    assert {one.name.split()[-1] for one in sets} >= {"drawings", "figurines"}
    for one in sets:
        assert set(one.accuracy) <= set(READERS) and one.why
        if one.name.endswith("figurines"):
            assert make_world("figurines", **one.options).classes == pytest.approx(1 / one.chance)


def test_the_frozen_nuisances_are_those_of_the_regime():
    from dataclasses import asdict

    from mae_lib.folders import published_folder
    from mae_lib.worlds.figurine_nuisances import REGIMES

    held = json.loads((published_folder() / "calibration" / "figurines-search.json").read_text())
    frozen = held["search"]["trials"][-1]["nuisances"]
    assert frozen == json.loads(json.dumps(asdict(REGIMES["cluttered"])))
