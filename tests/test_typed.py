"""Settings of the wrong type are named before work starts; YAML's ways of writing the right ones pass."""

from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from mae_lib.__main__ import main
from mae_lib.imagenet.linear_probe import ProbeRecipe, recipe_of
from mae_lib.imagenet.world import ImageNet
from mae_lib.presets import load_preset
from mae_lib.transfer.finetune import DetectionConfig
from mae_lib.transfer.model import DetectorSizes
from mae_lib.typed import typed_fields
from mae_lib.worlds import make_world


@dataclass(frozen=True)
class Settings:
    count: int = 1
    rate: float | None = 0.5
    pair: tuple[float, float] = (0, 1)
    many: tuple[int, ...] = ()
    quiet: bool = False
    other: Any = None

    def __post_init__(self):
        typed_fields(self, "mine: ")


def test_yamls_ways_of_writing_pass():
    found = Settings(rate="1e-3", pair=[0, 1], many=[3, 4], other={"any": "thing"})
    assert found == Settings(rate=0.001, pair=(0.0, 1.0), many=(3, 4), other={"any": "thing"})
    assert Settings(rate=None).rate is None and Settings(rate=2).rate == 2.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"count": "12"}, "mine: count is '12': it must be a whole number"),
        ({"count": 1.5}, "mine: count is 1.5: it must be a whole number"),
        ({"count": True}, "mine: count is True: it must be a whole number"),
        ({"count": None}, "mine: count is None: it must be a whole number"),
        ({"rate": "fast"}, "mine: rate is 'fast': it must be a finite number or null"),
        ({"rate": float("nan")}, "mine: rate is nan: it must be a finite number"),
        ({"rate": 10**400}, "mine: rate is 1000"),
        ({"pair": [1]}, "mine: pair is .*: it must be a list of 2, each a finite number"),
        ({"pair": 3}, "mine: pair is 3: it must be a list of 2"),
        ({"pair": "ab"}, "mine: pair is 'ab': it must be a list of 2"),
        ({"many": [1, "2"]}, "mine: many is .*: it must be a list, each a whole number"),
        ({"quiet": 0}, "mine: quiet is 0: it must be true or false"),
    ],
)
def test_another_type_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Settings(**wrong)


PROBES = [{"batch": "12"}, {"batch": 1}, {"epochs": 1.5}, {"epochs": None}, {"base_lr": [1]}, {"crop": [0.1]}]
PROBES += [{"trust": "x"}, {"crop": [0.9, 0.1]}, {"base_lr": float("inf")}, {"momentum": True}, {"no_such": 3}]


@pytest.mark.parametrize("probe", [*PROBES, [1], 3, None])
def test_a_recipe_of_the_probe_is_checked(probe):
    with pytest.raises(ValueError, match="probe"):
        recipe_of(probe)
    assert recipe_of({"base_lr": "1e-1", "crop": [0.08, 1]}) == ProbeRecipe()


def test_detectors_worlds_and_presets_are_checked(tmp_path):
    with pytest.raises(ValueError, match="detection_lr is 'high': it must be a finite number"):
        DetectionConfig(lr="high")
    assert DetectionConfig.from_scale({"detection_lr": "1e-3", "detection_jitter": [0.1, 2]}).lr == 0.001
    with pytest.raises(ValueError, match="detection_sizes: channels is '16': it must be a whole number"):
        DetectorSizes(channels="16")
    with pytest.raises(ValueError, match="detection_sizes is 3: it must be a mapping"):
        DetectionConfig.from_scale({"detection_sizes": 3})
    with pytest.raises(ValueError, match="seed is '1': it must be a whole number"):
        make_world("figurines", seed="1")
    with pytest.raises(ValueError, match="v2 is 'nonsense': it must be one of matched-frequency"):
        ImageNet(v2="nonsense")
    for name, value in (("seeds", 0), ("seeds", ["0"]), ("mask_ratios", 0.75), ("units", "8"), ("units", [8.5])):
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(load_preset("smoke") | {name: value}))
        with pytest.raises(ValueError, match=f"{name} of .*mine.yaml is .*: it must be a list, each"):
            load_preset(file)


def test_a_preset_for_gpus_on_a_cpu_is_noted(capsys, tmp_path):
    arguments = ["pretrain", "--preset", "gpu", "--device", "cpu", "--mask-ratio", "2", "--runs", str(tmp_path)]
    assert main(arguments) == 2
    assert "the preset gpu is meant for GPUs, and this runs on the CPU" in capsys.readouterr().err
    assert main([*arguments[:2], "smoke", *arguments[3:]]) == 2
    assert "meant for GPUs" not in capsys.readouterr().err
