"""`python -m mae_lib pack`: what it writes is what the other commands read."""

from mae_lib.__main__ import main
from mae_lib.imagenet import sets


def test_packed_sets_are_read_in_place_of_the_files(real_data, tmp_path, capsys):
    files = {split: sets.imagenet(split) for split in ("train", "val")}
    assert main(["pack", real_data["MAE_LIB_IMAGENET"], str(tmp_path / "out"), "--workers", "0"]) == 0
    assert capsys.readouterr().out.count("64 of 64 images") == 2
    for split, images in files.items():
        packed = sets.imagenet(split, tmp_path / "out")
        assert type(packed) is not type(images) and packed.fingerprint == images.fingerprint
    assert main(["pack", str(tmp_path / "no"), str(tmp_path / "x")]) == 2
    assert "is not there: it should hold ImageNet-1K" in capsys.readouterr().err
