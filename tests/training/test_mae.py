"""The model against two judges, transformers' ViTMAE and timm's VisionTransformer, and its own identities."""

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from mae_lib.training import MAE, MaskSampler
from mae_lib.training.mae import masked_loss, normalise, patchify, sine_cosine_positions, split_mask, unpatchify

SIZES = {"width": 32, "depth": 2, "heads": 4, "decoder_width": 24, "decoder_depth": 2, "decoder_heads": 2}
IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def model(norm_pixels=False, **sizes):
    torch.manual_seed(0)
    mae = MAE(32, 4, norm_pixels=norm_pixels, **SIZES | sizes)
    for value in mae.parameters():  # biases and norms away from 0 and 1, where a mistake could hide
        if value.requires_grad:
            value.data += 0.05 * torch.randn_like(value)
    return mae.eval()


def vit_mae(mae, norm_pixels, ratio):
    """transformers' model with the same weights, under its own names."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    judge = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            layer_norm_eps=1e-6,
            image_size=32,
            patch_size=4,
            decoder_hidden_size=24,
            decoder_num_hidden_layers=len(mae.decoder_blocks),
            decoder_num_attention_heads=2,
            decoder_intermediate_size=96,
            mask_ratio=ratio,
            norm_pix_loss=norm_pixels,
        )
    ).eval()
    # The judge computes its own positions, so that ours are judged too. Built from a config alone, transformers 5
    # leaves them at zero: they are asked for by name.
    judge.vit.embeddings.patch_embeddings.projection._is_hf_initialized = False
    judge.vit.embeddings.initialize_weights()
    judge.decoder.initialize_weights(64)
    names = {"cls_token": "vit.embeddings.cls_token", "mask_token": "decoder.mask_token"}
    parts = {
        "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
        "norm": "vit.layernorm",
        "decoder_embed": "decoder.decoder_embed",
        "decoder_norm": "decoder.decoder_norm",
        "decoder_pred": "decoder.decoder_pred",
    }
    for ours, theirs, blocks in (
        ("blocks", "vit.layers", mae.blocks),
        ("decoder_blocks", "decoder.decoder_layers", mae.decoder_blocks),
    ):
        for n in range(len(blocks)):
            inner = {
                "norm1": "layernorm_before",
                "norm2": "layernorm_after",
                "mlp.fc1": "mlp.fc1",
                "mlp.fc2": "mlp.fc2",
            }
            inner["attn.proj"] = "attention.o_proj"
            parts |= {f"{ours}.{n}.{a}": f"{theirs}.{n}.{b}" for a, b in inner.items()}
    names |= {f"{a}.{kind}": f"{b}.{kind}" for a, b in parts.items() for kind in ("weight", "bias")}
    state = {}
    for name, value in mae.state_dict().items():
        if "attn.qkv" in name:
            stem = name.replace("decoder_blocks", "decoder.decoder_layers")
            stem = stem if stem != name else name.replace("blocks", "vit.layers")
            stem, kind = stem.replace("attn.qkv", "attention.{}_proj").rsplit(".", 1)
            for part, chunk in zip("qkv", value.chunk(3), strict=True):
                state[f"{stem.format(part)}.{kind}"] = chunk
        elif "pos_embed" not in name:
            state[names[name]] = value
    left = judge.load_state_dict(state, strict=False)
    assert not left.unexpected_keys
    assert all("pos" in name for name in left.missing_keys)
    return judge


@pytest.mark.parametrize("norm_pixels", [False, True])
@pytest.mark.parametrize(("ratio", "depth"), [(0.1, 1), (0.75, 2)])
def test_same_loss_gradient_and_prediction_as_vitmae(norm_pixels, ratio, depth):
    mae = model(norm_pixels, decoder_depth=depth)
    judge = vit_mae(mae, norm_pixels, ratio)
    mask = MaskSampler(8, 4, 8, ratio).sample(0, 0, torch.arange(5))
    with torch.enable_grad():
        ours, theirs = mae(IMAGES, mask), judge(IMAGES, noise=mask.float())  # it hides where noise is largest
        ours.loss.backward()
        theirs.loss.backward()
    assert torch.equal(theirs.mask.bool(), mask)
    torch.testing.assert_close(ours.loss, theirs.loss, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.prediction, theirs.logits[mask].view_as(ours.prediction), atol=1e-5, rtol=0)
    kernel = judge.vit.embeddings.patch_embeddings.projection.weight.grad
    torch.testing.assert_close(mae.patch_embed.proj.weight.grad, kernel, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mae.mask_token.grad, judge.decoder.mask_token.grad, atol=1e-5, rtol=1e-4)


def test_several_class_tokens_all_learn_and_their_mean_is_the_images():
    mae = model(class_tokens=3)
    mask = MaskSampler(8, 4, 16, 0.75).sample(0, 0, torch.arange(5))
    mae(IMAGES, mask).loss.backward()
    assert mae.cls_token.shape == (1, 3, 32) and (mae.cls_token.grad.abs().amax(2) > 0).all()
    with torch.no_grad():
        tokens = mae.encode(IMAGES, mask)
        caught = []
        mae.norm.register_forward_hook(lambda _, __, output: caught.append(output))
        mae.encode(IMAGES, mask)
    assert tokens.shape == (5, 1 + 16, 32)
    torch.testing.assert_close(tokens, torch.cat([caught[0][:, :3].mean(1, keepdim=True), caught[0][:, 3:]], 1))
    with pytest.raises(ValueError, match="class_tokens 0 must be at least 1"):
        model(class_tokens=0)


def test_encoder_goes_to_timm_and_back():
    mae = model()
    vit = VisionTransformer(img_size=32, patch_size=4, embed_dim=32, depth=2, num_heads=4, num_classes=10)
    assert set(vit.load_state_dict(mae.encoder_state(), strict=False).missing_keys) == {"head.weight", "head.bias"}
    with torch.no_grad():
        torch.testing.assert_close(vit.eval().forward_features(IMAGES), mae.encode(IMAGES), atol=1e-5, rtol=0)
    other = model()
    for value in other.parameters():
        value.data.zero_()
    decoder = {name: value.clone() for name, value in other.state_dict().items() if name.startswith("decoder")}
    other.load_encoder(vit.state_dict())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in mae.encoder_state().items())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in decoder.items())


def test_names_and_shapes_of_timms_own_vit_base():
    with torch.device("meta"):
        mae = MAE(224, 16, 768, 12, 12, 512, 8, 16)
        vit = timm.create_model("vit_base_patch16_224", num_classes=0)
    shapes = {name: value.shape for name, value in vit.state_dict().items()}
    assert {name: value.shape for name, value in mae.encoder_state().items()} == shapes


def test_names_of_the_published_checkpoints():
    """facebookresearch/mae, models_mae.py: every tensor beside those of the blocks."""
    outside = {name for name in model().state_dict() if "blocks." not in name}
    modules = ("patch_embed.proj", "norm", "decoder_embed", "decoder_norm", "decoder_pred")
    tokens = {"cls_token", "pos_embed", "mask_token", "decoder_pos_embed"}
    assert outside == tokens | {f"{name}.{kind}" for name in modules for kind in ("weight", "bias")}


def test_the_encoder_sees_visible_patches_only_and_the_loss_masked_ones_only():
    mae, mask = model(), MaskSampler(8, 4, 8, 0.5).sample(0, 0, torch.arange(5))
    hidden = unpatchify(mask[..., None].expand(-1, -1, 48).float(), 4).bool()
    elsewhere = torch.where(hidden, torch.rand_like(IMAGES), IMAGES)
    assert torch.equal(mae.encode(IMAGES, mask), mae.encode(elsewhere, mask))
    prediction = mae(IMAGES, mask).prediction
    assert torch.equal(prediction, mae(elsewhere, mask).prediction)
    target = patchify(IMAGES, 4)[mask].view_as(prediction)
    by_hand = torch.stack([(p - t).pow(2).mean() for p, t in zip(prediction.flatten(0, 1), target.flatten(0, 1))])
    torch.testing.assert_close(mae(IMAGES, mask).loss, by_hand.mean())
    torch.testing.assert_close(masked_loss(prediction, target), by_hand.mean())


@pytest.mark.parametrize("norm_pixels", [False, True])
def test_reconstruction_pastes_the_prediction_into_the_image(norm_pixels):
    mae, mask = model(norm_pixels), MaskSampler(8, 4, 4, 0.75).sample(0, 0, torch.arange(5))
    with torch.no_grad():
        picture, output = mae.reconstruct(IMAGES, mask), mae(IMAGES, mask)
    patches, truth = patchify(picture, 4), patchify(IMAGES, 4)
    assert torch.equal(patches[~mask], truth[~mask])
    _, mean, deviation = normalise(truth[mask])
    expected = output.prediction.flatten(0, 1)
    expected = expected * deviation + mean if norm_pixels else expected
    torch.testing.assert_close(patches[mask], expected)


def test_reconstruction_of_an_unmasked_image_predicts_every_patch():
    mae = model()
    with torch.no_grad():
        judge = vit_mae(mae, False, 0.0)
        expected = judge.unpatchify(judge(IMAGES).logits)  # ratio 0 shuffles the patches and puts them back
        torch.testing.assert_close(mae.reconstruct(IMAGES), expected, atol=1e-5, rtol=0)


def test_patchify_has_an_inverse():
    assert torch.equal(unpatchify(patchify(IMAGES, 8), 8), IMAGES)
    assert torch.equal(patchify(IMAGES, 8)[0, 1, :3], IMAGES[0, :, 0, 8])  # row, column, channel
    with pytest.raises(ValueError, match="32 x 24"):
        patchify(IMAGES[..., :24], 8)


def test_normalised_patches_have_mean_zero_and_unbiased_variance_one():
    patches = patchify(IMAGES, 8)
    target, mean, deviation = normalise(patches)
    torch.testing.assert_close(target.var(-1, unbiased=True), torch.ones(5, 16), atol=1e-3, rtol=0)
    torch.testing.assert_close(target * deviation + mean, patches)
    assert normalise(torch.full((1, 1, 192), 0.3))[0].abs().max() < 1e-3  # a flat patch does not blow up


def test_positions_tell_every_patch_apart_and_leave_the_class_token_alone():
    table = sine_cosine_positions(16, 7)[0]
    assert not table[0].any()
    assert torch.cdist(table[1:], table[1:]).fill_diagonal_(1).min() > 0.1


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (torch.zeros(5, 64), "torch.float32"),
        (torch.zeros(5, 63, dtype=torch.bool), "63"),
        (torch.arange(5)[:, None] > torch.arange(64), "from 0 to 4"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, says):
    with pytest.raises(ValueError, match=says):
        model()(IMAGES, mask)


def test_split_mask_of_all_none_and_no_rows():
    everything = torch.ones(3, 4, dtype=torch.bool)
    assert [tuple(part.shape) for part in split_mask(everything, 4)] == [(3, 0), (3, 4)]
    assert [tuple(part.shape) for part in split_mask(~everything, 4)] == [(3, 4), (3, 0)]
    assert [len(part) for part in split_mask(everything[:0], 4)] == [0, 0]


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"patch": 5}, "5 must divide the image size, 32"),
        ({"width": 30, "heads": 2}, "width 30"),
        ({"decoder_width": 24, "decoder_heads": 5}, "decoder_width 24"),
        ({"depth": 0}, "0 and 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        MAE(**{"image_size": 32, "patch": 4} | SIZES | sizes)


def test_standardising_inside_is_standardising_outside():
    torch.manual_seed(0)
    plain = MAE(32, 4, **SIZES).eval()
    inside = MAE(32, 4, **SIZES, pixel_mean=(0.5, 0.4, 0.3), pixel_std=(0.2, 0.3, 0.5)).eval()
    inside.load_state_dict(plain.state_dict())  # the same names: what standardises is no part of the state
    images, mask = torch.rand(3, 3, 32, 32), MaskSampler(8, 4, 8, 0.75).sample(0, 0, torch.arange(3))
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1), torch.tensor([0.2, 0.3, 0.5]).view(1, 3, 1, 1)
    outside = (images - mean) / std
    with torch.inference_mode():
        assert torch.equal(inside(images, mask).loss, plain(outside, mask).loss)
        assert torch.equal(inside.encode(images), plain.encode(outside))
        torch.testing.assert_close(inside.reconstruct(images, mask), plain.reconstruct(outside, mask) * std + mean)
        hidden = mask.view(3, 1, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3).expand(-1, 3, -1, -1)
        torch.testing.assert_close(inside.reconstruct(images, mask)[~hidden], images[~hidden])


def test_bytes_are_refused_for_they_are_not_in_the_unit_interval():
    model = MAE(32, 8, width=16, depth=1, heads=2, decoder_width=16, decoder_heads=2)
    for ask in (model.encode, model.reconstruct):
        with pytest.raises(ValueError, match=r"images are torch\.uint8: a model takes floats in \[0, 1\]"):
            ask(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
