"""The pyramid stands on the encoder's own features, whatever the canvas and the windows."""

import pytest
import torch
from torch.testing import assert_close

from mae_lib.transfer.backbone import PyramidEncoder, in_windows
from mae_lib.transfer.model import DetectorSizes, layer_of, mask_rcnn, parameter_groups

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def standardised(mae, images):
    return (images - mae.pixel_mean) / mae.pixel_std


@torch.no_grad()
def test_on_its_own_canvas_the_map_is_what_the_encoder_gives(mae):
    encoder = PyramidEncoder(mae, 32, 16, (2, 1)).eval()
    (found,) = encoder.maps(standardised(mae, IMAGES)).values()
    assert_close(found.flatten(2).transpose(1, 2), mae.encode(IMAGES)[:, 1:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_groups_take_the_end_of_each_and_a_group_of_all_is_the_whole(mae):
    encoder = PyramidEncoder(mae, 32, 16, (2, 1), pyramid="groups").eval()
    first, last = encoder.maps(standardised(mae, IMAGES)).values()
    assert encoder.taps == [0, 1]
    tokens = torch.cat(
        [
            encoder.cls_token.expand(2, -1, -1),
            mae.patch_embed.proj(standardised(mae, IMAGES)).flatten(2).transpose(1, 2) + mae.pos_embed[:, 1:],
        ],
        1,
    )
    assert_close(first.flatten(2).transpose(1, 2), mae.blocks[0](tokens)[:, 1:])
    assert_close(last.flatten(2).transpose(1, 2), mae.encode(IMAGES)[:, 1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pyramid", ["simple", "groups"])
def test_levels_have_their_scales_and_channels(mae, pyramid):
    levels = PyramidEncoder(mae, 48, 12, (4, 2, 1, 0.5), pyramid)(torch.rand(1, 3, 48, 48))
    assert list(levels) == ["0", "1", "2", "3"]
    assert [tuple(level.shape) for level in levels.values()] == [(1, 12, side, side) for side in (24, 12, 6, 3)]


@torch.no_grad()
@pytest.mark.parametrize(("grid", "window"), [(4, 4), (4, 2), (5, 2), (5, 7)])
def test_attention_stays_inside_windows(mae, grid, window):
    """By brute force: each window, filled up with zeros, by itself."""
    block = mae.blocks[0]
    tokens = torch.randn(2, grid * grid, 16, generator=torch.Generator().manual_seed(1))
    found = in_windows(block, tokens, grid, window).unflatten(1, (grid, grid))
    square = tokens.unflatten(1, (grid, grid))
    for top in range(0, grid, window):
        for left in range(0, grid, window):
            part = square[:, top : top + window, left : left + window]
            full = torch.zeros(2, window, window, 16)
            full[:, : part.shape[1], : part.shape[2]] = block.norm1(part)
            mixed = block.attn(full.flatten(1, 2)).unflatten(1, (window, window))[:, : part.shape[1], : part.shape[2]]
            expected = part + mixed
            expected = expected + block.mlp(block.norm2(expected))
            assert_close(found[:, top : top + window, left : left + window], expected)


@torch.no_grad()
def test_a_global_block_ignores_the_window(mae):
    everywhere = PyramidEncoder(mae, 32, 16, (1,), window=4).eval()  # a window of the whole grid
    inside = PyramidEncoder(mae, 32, 16, (1,), window=2).eval()
    named = PyramidEncoder(mae, 32, 16, (1,), window=2, global_blocks=(0, 1)).eval()
    maps = [encoder.maps(IMAGES)[1] for encoder in (everywhere, inside, named)]
    assert_close(maps[0], maps[2])
    assert (maps[0] - maps[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 36}, "a canvas of 36 pixels does not divide into patches of 8"),
        ({"size": 32, "scales": (1, 2)}, "scales are"),
        ({"size": 32, "scales": (3,)}, "scales are"),
        ({"size": 32, "pyramid": "none"}, "pyramid 'none' is unknown: choose one of simple, groups"),
        ({"size": 32, "global_blocks": (2,)}, r"there are no blocks \[2\]: they are numbered from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(mae, options, message):
    with pytest.raises(ValueError, match=message):
        PyramidEncoder(mae, **options)
    with pytest.raises(ValueError, match="do not fit the canvas of 32"):
        PyramidEncoder(mae, 32)(torch.rand(1, 3, 48, 48))


def test_each_parameter_is_in_one_group_and_lower_layers_learn_slower(mae):
    model = mask_rcnn(mae, 32, 3, DetectorSizes(channels=8, scales=(2, 1), head_convs=1, head_width=8))
    groups = parameter_groups(model, 0.1, 0.5)
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(map(id, model.parameters()))
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    backbone = model.backbone
    for parameter, wanted in (
        (backbone.pos_embed, 0.125),
        (backbone.patch_embed.weight, 0.125),
        (backbone.blocks[0].attn.qkv.weight, 0.25),
        (backbone.blocks[1].mlp.fc1.bias, 0.5),
        (backbone.levels[0][0].weight, 1.0),
        (model.roi_heads.box_predictor.cls_score.weight, 1.0),
    ):
        assert scale[id(parameter)] == wanted
    assert decay[id(backbone.pos_embed)] == decay[id(backbone.norm.weight)] == 0
    assert decay[id(backbone.blocks[0].attn.qkv.weight)] == 0.1
    assert [layer_of(name, 2) for name in ("backbone.cls_token", "backbone.norm.weight", "rpn.head.conv")] == [0, 3, 3]


def test_the_encoder_that_was_given_is_left_as_it_is(mae):
    before = {name: value.clone() for name, value in mae.state_dict().items()}
    encoder = PyramidEncoder(mae, 32, 16, (1,))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in mae.state_dict().items())


def test_under_autocast_the_encoder_is_fast_and_boxes_stay_exact(mae):
    model = mask_rcnn(mae, 32, 3, DetectorSizes(channels=8, scales=(2, 1), head_convs=1, head_width=8)).train()
    seen = {}
    model.backbone.blocks[0].mlp.fc1.register_forward_hook(lambda m, i, out: seen.update(encoder=out.dtype))
    model.rpn.head.bbox_pred.register_forward_hook(lambda m, i, out: seen.update(rpn=out.dtype))
    model.roi_heads.box_predictor.register_forward_hook(lambda m, i, out: seen.update(box=out[1].dtype))
    target = {"boxes": torch.tensor([[4.0, 4, 20, 20]]), "labels": torch.tensor([1])}
    target["masks"] = torch.zeros(1, 32, 32, dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model(list(IMAGES), [target, target])
    assert seen == {"encoder": torch.bfloat16, "rpn": torch.float32, "box": torch.float32}
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
