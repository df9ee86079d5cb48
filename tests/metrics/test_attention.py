"""Attention is what the model really computes, and its scores are what a direct count over pixels gives."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mae_lib.metrics.attention import (
    CLS,
    area_under_curve,
    attention,
    attention_maps,
    attention_scores,
    object_queries,
    on_patches,
    overlap,
    part_shares,
    patch_shares,
    rise_without,
    top_patches,
)
from mae_lib.training import MAE
from mae_lib.worlds import make_world

PATCH = 4
SAMPLE = make_world("figurines").sample(torch.arange(12), "test")


def model(**options) -> MAE:
    torch.manual_seed(0)
    mae = MAE(32, PATCH, width=32, depth=2, heads=4, decoder_width=16, decoder_heads=2, **options).eval()
    with torch.no_grad():  # far from uniform, as after training
        mae.blocks[-1].attn.qkv.weight.mul_(4)
    return mae


def every_token(images: torch.Tensor) -> torch.Tensor:
    return torch.arange(65).expand(len(images), -1)


def test_rows_are_what_timm_computes_without_the_fused_kernel_and_sum_to_one():
    mae, caught = model(), []
    mine = attention(mae, SAMPLE.images, every_token(SAMPLE.images), batch=5)
    assert mine.shape == (12, 4, 65, 65)
    assert mine.sum(-1) == pytest.approx(1, abs=1e-5)
    last = mae.blocks[-1].attn
    last.fused_attn = False
    last.attn_drop.register_forward_hook(lambda _, __, weights: caught.append(weights))
    with torch.inference_mode():
        mae.encode(SAMPLE.images)
    torch.testing.assert_close(mine, caught[0], rtol=0, atol=1e-5)  # float32: the fused kernel adds in another order


def test_rows_equal_the_product_by_hand():
    mae = model()
    with torch.inference_mode():
        tokens = torch.cat([mae.cls_token.expand(12, -1, -1), mae.patch_embed(SAMPLE.images)], 1) + mae.pos_embed
        x = mae.blocks[-1].norm1(mae.blocks[0](tokens)).double().numpy()
    weight, bias = (value.detach().double().numpy() for value in mae.blocks[-1].attn.qkv.parameters())
    q, k = (x @ weight[part].T + bias[part] for part in (slice(0, 32), slice(32, 64)))
    heads = [np.exp(q[..., h] @ k[..., h].swapaxes(1, 2) / np.sqrt(8)) for h in np.split(np.arange(32), 4)]
    expected = np.stack([weights / weights.sum(-1, keepdims=True) for weights in heads], 1)
    queries = torch.tensor([[CLS, 7, 64]]).expand(12, -1)
    assert attention(mae, SAMPLE.images, queries).numpy() == pytest.approx(expected[:, :, [0, 7, 64]], abs=1e-6)


def test_looking_leaves_the_model_as_it_was():
    mae = model()
    before = mae.encode(SAMPLE.images)
    attention(mae, SAMPLE.images, every_token(SAMPLE.images))
    with pytest.raises(ValueError, match="floats must lie"):
        attention(mae, SAMPLE.images * 300, every_token(SAMPLE.images))
    assert not mae.blocks[-1].attn.qkv._forward_hooks
    assert torch.equal(mae.encode(SAMPLE.images), before)


def test_maps_average_heads_and_leave_the_class_token_out():
    queries = torch.full((12, 1), CLS)
    rows, maps = (look(model(), SAMPLE.images, queries) for look in (attention, attention_maps))
    assert maps.shape == (12, 1, 64) and maps.sum(-1) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(maps, rows.mean(1)[..., 1:] / (1 - rows.mean(1)[..., :1]))


def test_a_query_that_sees_the_class_token_alone_prefers_no_patch():
    rows = torch.zeros(1, 2, 2, 5)
    rows[..., 0] = 1
    rows[0, 1, 1] = torch.tensor([0.5, 0.5, 0, 0, 0])
    assert on_patches(rows).tolist() == [[[0.25] * 4, [1, 0, 0, 0]]]


@pytest.mark.parametrize("queries", [torch.zeros(12, dtype=torch.int64), torch.zeros(3, 1, dtype=torch.int64)])
def test_queries_that_do_not_fit_are_refused(queries):
    with pytest.raises(ValueError, match=r"give int64 \(12, Q\)"):
        attention(model(), SAMPLE.images, queries)


def test_shares_count_pixels():
    mask = SAMPLE.masks[:, 0]
    shares = patch_shares(mask, PATCH)
    assert shares[3, 8 * 2 + 5] == mask[3, 8:12, 20:24].float().mean()
    parts = part_shares(SAMPLE.parts, PATCH)
    assert parts.shape == (12, 4, 64) and torch.equal(parts.sum(1), shares)
    assert torch.equal(patch_shares(mask[:, None], PATCH), shares[:, None])
    for wrong, patch in ((mask.float(), PATCH), (mask, 5)):
        with pytest.raises(ValueError, match="give bool"):
            patch_shares(wrong, patch)
    with pytest.raises(ValueError, match="lacks a part"):
        part_shares(torch.where(SAMPLE.parts == 2, 0, SAMPLE.parts), PATCH)
    with pytest.raises(ValueError, match="lacks a part"):
        part_shares(torch.zeros_like(SAMPLE.parts), PATCH)
    with pytest.raises(ValueError, match="without part maps"):
        object_queries(make_world("digits").sample(torch.arange(1), "test").parts, PATCH)


def test_a_part_speaks_through_the_middle_of_what_it_fills():
    queries = object_queries(SAMPLE.parts, PATCH)
    shares = part_shares(SAMPLE.parts, PATCH)
    assert queries.shape == (12, 5) and (queries[:, 0] == CLS).all()
    chosen = shares.gather(2, queries[:, 1:, None] - 1)
    assert torch.equal(chosen, shares.amax(-1, keepdim=True))
    square = torch.zeros(1, 32, 32, dtype=torch.int64)
    square[:, 4:24, 8:28] = 1  # rows 1 to 5 and columns 2 to 6 of patches: the middle is (3, 4)
    assert object_queries(square, PATCH).tolist() == [[CLS, 1 + 3 * 8 + 4]]


def random_maps(count: int, levels: int) -> torch.Tensor:
    """Maps with many ties: few different values."""
    random = torch.Generator().manual_seed(levels)
    maps = torch.randint(1, levels + 1, (count, 64), generator=random).double()
    return maps / maps.sum(-1, keepdim=True)


@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_the_area_under_the_curve_is_that_of_the_pixels(levels):
    maps, inside = random_maps(12, levels), patch_shares(SAMPLE.masks[:, 0], PATCH)
    mine = area_under_curve(maps, inside, 1 - inside)
    pixels = maps.view(-1, 8, 8).repeat_interleave(4, 1).repeat_interleave(4, 2)
    judge = [roc_auc_score(m.flatten(), p.flatten()) for m, p in zip(SAMPLE.masks[:, 0].numpy(), pixels.numpy())]
    assert mine.numpy() == pytest.approx(judge, abs=1e-9)
    if levels == 1:
        assert mine.tolist() == [0.5] * 12


def test_the_area_at_its_ends():
    inside = patch_shares(SAMPLE.masks[:, 0], PATCH).round()
    assert area_under_curve(inside, inside, 1 - inside).tolist() == [1] * 12
    assert area_under_curve(1 - inside, inside, 1 - inside).tolist() == [0] * 12
    assert area_under_curve(inside, torch.zeros(12, 64), 1 - inside).isnan().all()


@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("mass", [0.2, 0.6, 1.0])
def test_the_top_patches_hold_their_mass_and_are_the_top(levels, mass):
    maps = random_maps(12, levels)
    top = top_patches(maps, mass)
    assert (maps * top).sum(-1).numpy() == pytest.approx(np.full(12, mass))
    for values, taken in zip(maps.tolist(), top.tolist()):
        least = min(value for value, share in zip(values, taken) if share > 0)
        assert all(share == pytest.approx(1) for value, share in zip(values, taken) if value > least)


def test_overlap_of_known_regions():
    region = torch.zeros(1, 64)
    region[:, :16] = 1
    assert overlap(region / 16, region, mass=1.0).item() == pytest.approx(1)
    assert overlap(region / 16, region, mass=0.5).item() == pytest.approx(0.5)
    assert overlap((1 - region) / 48, region).item() == pytest.approx(0)
    uniform = torch.full((1, 64), 1 / 64)
    assert overlap(uniform, region).item() == pytest.approx(0.6 * 16 / (16 + 0.6 * 48))
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="mass"):
            top_patches(uniform, wrong)


def planted(shares: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """The class token looks at the object, the first part's token at itself, the others at their parts."""
    maps = torch.cat([shares.sum(1, keepdim=True), shares], 1)
    maps[:, 1] = torch.nn.functional.one_hot(queries[:, 1] - 1, 64)
    return maps / maps.sum(-1, keepdim=True)


def test_scores_find_what_was_planted():
    queries, shares = object_queries(SAMPLE.parts, PATCH), part_shares(SAMPLE.parts, PATCH)
    scores = attention_scores(planted(shares, queries), queries, SAMPLE.parts, PATCH)
    assert (scores["cls_object"] > 0.9).all() and (scores["cls_overlap"] > 0.5).all()
    assert sum(scores[name] for name in ("itself", "same_part", "other_parts", "background")) == pytest.approx(1)
    assert (scores["itself"] > 0.25).all() and (scores["same_part"] > scores["other_parts"]).all()
    assert (scores["token_part"] > 0.8).all() and (scores["token_object"] < 0.6).all()
    assert (scores["token_reach"] > 0).all() and (scores["token_reach"] < 0.2).all()


def test_scores_of_a_uniform_map_are_blind():
    queries = object_queries(SAMPLE.parts, PATCH)
    scores = attention_scores(torch.full((12, 5, 64), 1 / 64), queries, SAMPLE.parts, PATCH)
    for name in ("cls_object", "token_object", "token_part"):
        assert scores[name] == pytest.approx(0.5)
    assert scores["cls_share"] == pytest.approx(SAMPLE.masks.float().mean((1, 2, 3)).numpy(), abs=1e-6)
    assert scores["itself"] == pytest.approx(1 / 64)


def test_reach_is_a_distance_in_sides_of_the_image():
    queries = object_queries(SAMPLE.parts, PATCH)
    maps = torch.zeros(12, 5, 64)
    maps[..., 0] = 1  # everyone looks at the upper left patch
    asking = queries[:, 1:].numpy() - 1
    expected = np.hypot(asking % 8, asking // 8).mean(1) / 8
    assert attention_scores(maps, queries, SAMPLE.parts, PATCH)["token_reach"] == pytest.approx(expected, abs=1e-6)


def test_maps_that_do_not_fit_are_refused():
    queries = object_queries(SAMPLE.parts, PATCH)
    with pytest.raises(ValueError, match=r"give \(12, 5, 64\)"):
        attention_scores(torch.ones(12, 4, 64), queries, SAMPLE.parts, PATCH)


def test_a_token_that_says_the_same_of_every_image_is_not_missed_and_others_are():
    mae, mask = model(), torch.arange(64).expand(12, -1) % 4 > 0
    alike = SAMPLE.images[:1].expand(12, -1, -1, -1)
    assert rise_without(mae, alike, mask, CLS) == pytest.approx(0, abs=1e-6)
    with torch.inference_mode():
        mae.decoder_embed.weight.mul_(20)  # the decoder hears its tokens
        tokens = mae.encode(SAMPLE.images, mask)
        before = mae(SAMPLE.images, mask).loss
        tokens[:, 3] = tokens[:, 3].mean(0)
        hook = mae.norm.register_forward_hook(lambda *_: tokens)
        after = mae(SAMPLE.images, mask).loss
        hook.remove()
    assert rise_without(mae, SAMPLE.images, mask, 3) == pytest.approx((after / before - 1).item(), abs=1e-6)
    assert not mae.norm._forward_hooks
