"""Runs: trained once, resumed to the bit, shared by processes; and what a config refuses."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from small import CONFIG, FORKED, HERE, train_small

from mae_lib.__main__ import main
from mae_lib.presets import load_preset
from mae_lib.training import CheckpointError, Hardware, PretrainConfig, Run, checkpoints, find, load_model, pretrain
from mae_lib.training.run import locked


def never():
    raise AssertionError("a finished run must not ask for images")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train_small(tmp_path_factory.mktemp("runs"))


def losses(run):
    return [(line["step"], line["loss"], line["lr"]) for line in run.history()]


def test_a_finished_run_holds_what_it_promises(finished):
    assert {"config.json", "done.json", "log.jsonl", "model.safetensors", "model.json"} <= set(
        os.listdir(finished.directory)
    )
    assert not list(finished.directory.glob("checkpoint-*"))
    assert finished.config == CONFIG
    assert finished.directory.name == f"figurines-r0.6-u8-s0-{CONFIG.key}"
    assert finished.done["steps"] == CONFIG.steps == 40 == finished.history()[-1]["step"]
    assert {"seconds", "images_per_second", "device", "threads", "workers", "versions"} <= finished.done.keys()
    assert finished.history()[-1]["loss"] < finished.history()[0]["loss"]
    model = finished.load()
    assert not model.training and next(model.parameters()).device.type == "cpu"


def test_asking_twice_trains_once(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.directory.iterdir() if path.name != "lock"}
    assert train_small(finished.directory.parent, draw=never) == finished
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert find(CONFIG, finished.directory.parent) == finished
    assert find(replace(CONFIG, seed=1), finished.directory.parent) is None


def test_what_fails_before_training_leaves_no_folder_and_who_waited_makes_it_anew(tmp_path):
    with pytest.raises(AssertionError, match="must not ask"):
        train_small(tmp_path, draw=never)
    assert not list(tmp_path.iterdir())
    entered = []

    def second():
        with locked(tmp_path / "run"):
            entered.append((tmp_path / "run" / "lock").is_file())

    waiting = threading.Thread(target=second)
    with pytest.raises(ValueError, match="no images"), locked(tmp_path / "run"):
        (tmp_path / "run" / "config.json").write_text("{}")
        waiting.start()
        raise ValueError("no images")
    waiting.join()
    assert entered == [True]


def test_a_kill_at_any_step_changes_no_bit(tmp_path, finished, forked):
    """SIGKILL twice, in a first run and in the run that resumed it; the third process ends where none was killed."""
    steps = sorted(random.Random(0).sample(range(5, 35), 2))
    folder = tmp_path / CONFIG.name
    for step in steps:
        command = [*FORKED, "small", str(tmp_path), "0"]
        killed = subprocess.run(command, cwd=HERE, env=os.environ | {"DIE_AT": str(step)})
        assert killed.returncode == -signal.SIGKILL
        assert not (folder / "done.json").exists()
    kept = json.loads(next(folder.glob("checkpoint-*.json")).read_text())["about"]["step"]
    assert steps[-1] - 1 <= kept < 40  # the resumed process did resume
    run = train_small(tmp_path)
    assert losses(run) == losses(finished)
    first, second = run.load().state_dict(), finished.load().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_two_processes_at_once_train_once(tmp_path, forked):
    command = [*FORKED, "small", str(tmp_path), "0"]
    processes = [subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert folders == {str(tmp_path / CONFIG.name)}
    assert [line["step"] for line in Run(Path(folders.pop())).history()] == list(range(1, 41))


def test_a_damaged_checkpoint_is_refused_not_skipped(tmp_path):
    folder = tmp_path / CONFIG.name
    folder.mkdir()
    (folder / "checkpoint-000000007.json").write_text('{"format": "mae_li')
    with pytest.raises(CheckpointError, match=r"checkpoint-000000007\.json: truncated"):
        train_small(tmp_path)


def test_export_keeps_the_model_in_half_the_space(finished, tmp_path):
    finished.export(tmp_path / "small")
    whole, half = finished.load().state_dict(), load_model(tmp_path / "small").state_dict()
    assert all(value.dtype == torch.float32 for value in half.values())
    assert all(torch.equal(half[name], whole[name]) for name in ("pos_embed", "decoder_pos_embed"))
    assert max((half[name] - whole[name]).abs().max() for name in whole) < 2e-3
    size = (finished.directory / "model.safetensors").stat().st_size
    assert (tmp_path / "small.safetensors").stat().st_size < 0.65 * size


def test_a_file_that_holds_no_model_is_refused(tmp_path):
    checkpoints.save(tmp_path / "x", {"a": torch.zeros(1)}, {"config": asdict(CONFIG)})
    with pytest.raises(CheckpointError, match="x: does not hold a pretrained model"):
        load_model(tmp_path / "x")
    checkpoints.save(tmp_path / "y", {"a": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="y: does not hold a pretrained model"):
        load_model(tmp_path / "y")


def test_images_that_do_not_fit_the_config_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\(95, 3, 16, 16\)"):
        train_small(tmp_path, draw=lambda: torch.zeros(95, 3, 16, 16, dtype=torch.uint8))


def test_training_leaves_the_callers_random_state_and_threads_alone(tmp_path):
    torch.manual_seed(5)
    before, count = torch.get_rng_state(), torch.get_num_threads()
    train_small(tmp_path, config=replace(CONFIG, images=20, flip=False))
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == count
    assert torch.tensor(1e-40).mul(1).item() > 0  # subnormal numbers are still numbers


def test_a_world_is_drawn_and_trained_on(tmp_path):
    config = PretrainConfig.from_scale(
        load_preset("smoke")["scale"], images=192, unique_images=128, width=16, heads=2, depth=1
    )
    run = pretrain(config, tmp_path, Hardware("cpu", progress=False))
    assert run.done["steps"] == 3 and find(config, tmp_path) == run
    assert run.load().reconstruct(torch.rand(2, 3, 32, 32)).shape == (2, 3, 32, 32)


# The config


def test_every_setting_changes_the_key():
    other = {"world": "digits", "world_options": {"seed": 1}, "partial_unit": False, "norm_pixels": True, "flip": False}
    other |= {"image_size": 32, "patch": 8, "unit": 4, "mask_ratio": 0.7, "clip": None, "lr": 0.1, "warmup": 0.0}
    other |= {"weight_decay": 0.1, "pixel_mean": [0.1, 0.2, 0.3], "pixel_std": [1, 2, 3]}
    other |= {"mask_shape": "blocks", "mask_units": [0, 1] * 8, "boundary": 1}
    keys = {CONFIG.key}
    for name in asdict(CONFIG):
        value = other[name] if name in other else 2 * getattr(CONFIG, name) or 1
        keys.add(replace(CONFIG, **{name: value}).key)
    assert len(keys) == 1 + len(asdict(CONFIG))


def test_a_config_survives_json_and_equal_configs_have_equal_keys():
    assert PretrainConfig(**json.loads(json.dumps(asdict(CONFIG)))) == CONFIG
    assert PretrainConfig(lr="1e-3", clip=1).key == PretrainConfig(lr=0.001, clip=1.0).key


@pytest.mark.parametrize("preset", ["smoke", "laptop", "gpu"])
def test_the_presets_are_configs(preset):
    scale = load_preset(preset)["scale"]
    config = PretrainConfig.from_scale(scale, mask_ratio=0.9, seed=3)
    assert (config.mask_ratio, config.seed, config.width) == (0.9, 3, scale["width"])
    assert config.make_world().size == config.image_size


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"mask_ratio": 1.0}, "1.0 must lie strictly between"),
        ({"mask_ratio": "most"}, "mask_ratio is 'most': it must be a finite number"),
        ({"unit": 6}, "6 must be a multiple of the patch, 4"),
        ({"unit": 64}, "64 is larger than the image"),
        ({"patch": 5}, "5 must divide the image size, 32"),
        ({"patch": 0}, "0 must divide"),
        ({"world": "atlantis"}, "'atlantis' is unknown: choose one of figurines"),
        ({"world_options": []}, "world_options is .*a mapping"),
        ({"width": 64.0}, "width is 64.0: it must be a whole number"),
        ({"width": True}, "width is True"),
        ({"heads": 5}, "width 64 must be a multiple of 4 and of its number of heads, 5"),
        ({"depth": -1}, "not -1 and 1"),
        ({"images": 100}, "images is 100: it must be at least one batch, 128"),
        ({"batch": 0}, "batch is 0"),
        ({"lr": 0}, "lr is 0.0: it must be above 0"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"lr": None}, "lr is None"),
        ({"warmup": 1}, "warmup is 1.0"),
        ({"clip": 0}, "clip is 0.0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"flip": "yes"}, "flip is 'yes': it must be true or false"),
        ({"seed": 1 << 63}, "seed is 9223372036854775808"),
    ],
)
def test_a_config_refuses_and_names_the_value(values, says):
    with pytest.raises(ValueError, match=says):
        PretrainConfig(**values)


def test_an_unknown_setting_or_a_size_that_the_world_cannot_draw_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no setting 'wdith': choose among batch"):
        PretrainConfig.from_scale({"test_images": 5}, wdith=5)
    with pytest.raises(ValueError, match="image_size is 32: it must be 64"):
        pretrain(PretrainConfig(world_options={"size": 64}), tmp_path)
    with pytest.raises(ValueError, match="no option 'sise'"):
        pretrain(PretrainConfig(world_options={"sise": 64}), tmp_path)
    assert not list(tmp_path.iterdir())  # refused before any work


# The command line


def test_the_command_trains_then_finds_the_run(tmp_path, capsys):
    command = ["pretrain", "--preset", "smoke", "--mask-ratio", "0.5", "--unit", "4", "--runs", str(tmp_path)]
    command += ["--device", "cpu", "--quiet", "--set", "images=128", "--set", "unique_images=64", "--set", "lr=1e-3"]
    assert main(command) == 0 == main(command)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith(f"{tmp_path}/figurines-r0.5-u4-s0-")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--mask-ratio", "0"], "mask ratio 0.0 must lie"),
        (["--preset", "labtop"], "preset 'labtop' is unknown"),
        (["--unit", "7"], "mask unit 7"),
        (["--device", "gpu9"], "device 'gpu9' is unknown"),
        (["--threads", "0"], "not 0 and 1"),
    ],
)
def test_an_error_is_one_line_on_stderr(options, says, capsys, tmp_path):
    assert main(["pretrain", "--preset", "smoke", "--runs", str(tmp_path), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and says in err


def test_help_is_quick_and_errors_reach_the_shell():
    """--help imports no torch."""
    code = "import sys, mae_lib.__main__ as m\n"
    code += "try: m.main(['pretrain', '--help'])\nfinally: assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0 and "--mask-ratio" in shown.stdout
    command = [sys.executable, "-m", "mae_lib", "locate", "nosuch", "x1"]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1 and "Traceback" not in failed.stderr
