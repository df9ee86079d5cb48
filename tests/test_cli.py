"""The command line as a user meets it: help, results on stdout, errors in one line that says what would be right."""

from pathlib import Path

import pytest

from mae_lib.__main__ import main
from maebook.__main__ import COMMANDS as OF_THE_BOOK
from maebook.__main__ import main as main_of_the_book

TINY = [f"--set={pair}" for pair in ("images=128", "unique_images=32", "batch=16", "width=16", "decoder_width=16")]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = (main_of_the_book if arguments[0] in OF_THE_BOOK else main)(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("subcommand", [[], ["locate"], ["pretrain"], ["series"], ["detect"], ["crate"]])
def test_help_says_what_there_is(capsys, subcommand):
    with pytest.raises(SystemExit, match="0"):
        main([*subcommand, "--help"])
    assert "usage: python -m mae_lib" in capsys.readouterr().out


@pytest.mark.parametrize("subcommand", [[], *([name] for name in OF_THE_BOOK)])
def test_the_book_has_a_command_line_of_its_own(capsys, subcommand):
    with pytest.raises(SystemExit, match="0"):
        main_of_the_book([*subcommand, "--help"])
    assert "usage: python -m maebook" in capsys.readouterr().out


def test_locate_prints_figure_4(capsys, tmp_path):
    expected = "   c = {z3}\n s_m = {x1}\ns_mc = {x2, x3, x4, x5, x6, x7, z2, z5, z6}\n"
    assert run(capsys, "locate", "figure_4", "x1") == (0, expected, "")
    (tmp_path / "graph.txt").write_text("z x1\nz x2\n")
    assert run(capsys, "locate", str(tmp_path / "graph.txt"), "x2")[1].startswith("   c = {z}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain", "--mask-ratio", "0"], "mask ratio 0.0 must lie strictly between 0 and 1"),
        (["pretrain", "--mask-ratio", "1"], "mask ratio 1.0 must lie strictly between 0 and 1"),
        (["pretrain", "--unit", "6"], "mask unit 6 must be a multiple of the patch, 4 pixels"),
        (["pretrain", "--unit", "64"], "mask unit 64 is larger than the image: at most 32 pixels"),
        (["pretrain", "--set", "widht=3"], "pretraining has no setting 'widht': choose among"),
        (
            ["pretrain", "--preset", "laptp"],
            "preset 'laptp' is unknown: choose one of book, smoke, laptop, longer",
        ),
        (["pretrain", "--device", "abacus"], "device 'abacus'"),
        (
            ["pretrain", "--preset", "smoke", "--set", "lr=1e300"],
            "learning rate is 1e+300: it must be above 0, and at most",
        ),
        (["locate", "figure_4", "x9"], "'x9' is not an observable"),
        (["locate", "figure_4", "z3"], "'z3' is latent: only observables can be masked; below it lie 'x1', 'x2', 'x3'"),
        (["locate", "figure_7", "x1"], "graph 'figure_7' is neither figure_1, figure_2 or figure_4 nor a file"),
        (["locate", "{cycle}", "x1"], "the graph has the cycle 'z1' -> 'z2' -> 'z1': it must be acyclic"),
        (["execute", "notebooks/none.ipynb", "out.ipynb"], "none.ipynb does not exist"),
    ],
)
def test_bad_input_is_one_line_that_says_what_would_be_right(capsys, tmp_path, arguments, message):
    cycle = tmp_path / "cycle.txt"
    cycle.write_text("z1 z2\nz2 z1\nz1 x1\nz2 x2\n")
    arguments = [argument.format(cycle=cycle) for argument in arguments]
    runs = ["--runs", str(tmp_path / "runs")] if arguments[0] == "pretrain" else []
    code, out, err = run(capsys, *arguments, *runs)
    assert code != 0 and out == "" and message in err and err.count("\n") == 1
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("model*"))


def test_an_option_with_underscores_is_told_its_name(capsys):
    with pytest.raises(SystemExit):
        main(["pretrain", "--mask_ratio", "0.5"])
    assert "options have hyphens, --mask-ratio;" in capsys.readouterr().err


def test_a_name_like_an_option_is_told_where_it_stands(capsys):
    with pytest.raises(SystemExit):
        main(["locate", "figure_4", "->"])
    assert "an argument that begins with - and is not an option goes after --" in capsys.readouterr().err
    assert main(["locate", "figure_4", "--", "->"]) == 2
    assert "'->' is not an observable" in capsys.readouterr().err


def test_a_truncated_model_is_refused_by_its_path(capsys, tmp_path):
    pretrain = ["pretrain", "--preset", "smoke", "--quiet", "--runs", str(tmp_path), *TINY]
    code, out, _ = run(capsys, *pretrain)
    assert code == 0 and out.startswith(str(tmp_path))
    model = next(tmp_path.rglob("model.safetensors"))
    model.write_bytes(model.read_bytes()[:-100])
    from mae_lib.training import CheckpointError, Run

    with pytest.raises(CheckpointError, match=str(model)):
        Run(model.parent).load()
    code, out, err = run(capsys, "import", str(model), "--preset", "smoke", "--runs", str(tmp_path))
    assert code == 2 and out == "" and str(model) in err and err.count("\n") == 1


def test_a_truncated_checkpoint_stops_the_run_that_would_go_on_from_it(capsys, tmp_path):
    import torch

    from mae_lib.training import checkpoints

    pretrain = ["pretrain", "--preset", "smoke", "--quiet", "--runs", str(tmp_path), *TINY]
    assert run(capsys, *pretrain)[0] == 0
    done = next(tmp_path.rglob("done.json"))
    done.unlink()  # as if killed on the way
    about = {"step": 4, "seconds": 1.0}
    checkpoints.save(done.parent / "checkpoint-000000004", {"weights": torch.zeros(99)}, about)
    checkpoint = next(tmp_path.rglob("checkpoint-*.safetensors"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    code, out, err = run(capsys, *pretrain)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert str(checkpoint) in err and "remove its checkpoint-* files" in err


def test_an_unknown_parameter_of_a_notebook_is_refused_before_it_runs(capsys, tmp_path):
    notebook, output = Path(__file__).parents[1] / "notebooks" / "2_3_theorem_1.ipynb", tmp_path / "out.ipynb"
    code, out, err = run(capsys, "execute", str(notebook), str(output), "-p", "sedes", "[1]")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "no parameter 'sedes': choose among preset, seeds" in err and not output.exists()
