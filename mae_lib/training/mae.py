"""The masked autoencoder of Equation 2 (He et al. 2022), built from timm blocks.

Masks come from outside (True = masked, see `masks.py`), and no work is spent on tokens that are not needed.
Visible patches are selected before they are embedded. The decoder's tokens stay in the order class, visible, masked, to
which its blocks are indifferent, so nothing is unshuffled; its last block computes only the masked tokens.

Parameter names are those of timm's VisionTransformer (encoder) and of facebookresearch/mae (all); states load by name:

    vit = timm.create_model("vit_base_patch16_224", num_classes=0)
    vit.load_state_dict(mae.encoder_state())
    mae.load_state_dict(facebook_checkpoint["model"])
"""

from functools import partial
from typing import NamedTuple

import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

_CHANNELS = 3
_DECODER = ("decoder_", "mask_token")


class MAEOutput(NamedTuple):
    """`loss`, a scalar, and `prediction` (B, masked, patch * patch * 3) of the masked patches in row-major order."""

    loss: Tensor
    prediction: Tensor


class MAE(nn.Module):
    """A masked autoencoder of `image_size` pixel RGB images in patches of `patch` pixels.

    Widths are multiples of 4 (sine-cosine positions) and of their number of heads. With `norm_pixels` the target of a
    patch is its pixels minus their mean, divided by their deviation. Images are in [0, 1] and standardised per colour
    by `pixel_mean` and `pixel_std`; the loss is on standardised pixels. `encode` returns the mean of several
    `class_tokens` (Pixio has eight). Raises ValueError for sizes that do not fit.
    """

    has_decoder = True  # False for an encoder released without one: its decoder is untrained

    def __init__(
        self,
        image_size: int,
        patch: int,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        decoder_width: int = 64,
        decoder_depth: int = 1,
        decoder_heads: int = 4,
        norm_pixels: bool = False,
        pixel_mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        pixel_std: tuple[float, float, float] = (1.0, 1.0, 1.0),
        class_tokens: int = 1,
    ) -> None:
        super().__init__()
        if patch < 1 or image_size < patch or image_size % patch:
            raise ValueError(f"patch {patch} must divide the image size, {image_size} pixels")
        for name, wide, many in (("width", width, heads), ("decoder_width", decoder_width, decoder_heads)):
            if wide < 4 or wide % 4 or many < 1 or wide % many:
                raise ValueError(f"{name} {wide} must be a multiple of 4 and of its number of heads, {many}")
        if depth < 1 or decoder_depth < 1:
            raise ValueError(f"encoder and decoder need at least one block each, not {depth} and {decoder_depth}")
        if class_tokens < 1:
            raise ValueError(f"class_tokens {class_tokens} must be at least 1")
        self.patch, self.grid, self.norm_pixels = patch, image_size // patch, norm_pixels
        self.class_tokens = class_tokens
        # Not part of the state: the names stay those of timm and of facebookresearch/mae.
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(1, 3, 1, 1), persistent=False)
        layer_norm = partial(nn.LayerNorm, eps=1e-6)
        block = partial(Block, mlp_ratio=4, qkv_bias=True, norm_layer=layer_norm)

        self.patch_embed = PatchEmbed(image_size, patch, _CHANNELS, width)
        self.cls_token = nn.Parameter(torch.zeros(1, class_tokens, width))
        self.pos_embed = _fixed(width, self.grid, class_tokens)
        self.blocks = nn.ModuleList(block(width, heads) for _ in range(depth))
        self.norm = layer_norm(width)

        self.decoder_embed = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.decoder_pos_embed = _fixed(decoder_width, self.grid, class_tokens)
        self.decoder_blocks = nn.ModuleList(block(decoder_width, decoder_heads) for _ in range(decoder_depth))
        self.decoder_norm = layer_norm(decoder_width)
        self.decoder_pred = nn.Linear(decoder_width, patch**2 * _CHANNELS)
        self._initialise()

    def _initialise(self) -> None:
        """As in MAE: Xavier for every matrix, including the patch embedding; tokens normal with deviation .02."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        nn.init.zeros_(self.patch_embed.proj.bias)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, images: Tensor, mask: Tensor | tuple[Tensor, Tensor], weight: Tensor | None = None) -> MAEOutput:
        """Loss and prediction for images (B, 3, H, W) and a mask (B, L), or the output of `split_mask` for it.

        weight: the weight of each patch in the loss, float (B, L), used where masked; see `masked_loss`.
        """
        patches = self._patches(images)
        split = mask if isinstance(mask, tuple) else split_mask(mask, self.grid**2)
        visible, masked = (index.to(images.device) for index in split)
        if not masked.shape[1]:
            raise ValueError("the mask hides no patch, so there is nothing to learn from")
        prediction = self._decode(self._encode(_pick(patches, visible), visible), visible, masked)
        target = _pick(patches, masked)
        target = normalise(target)[0] if self.norm_pixels else target
        weight = None if weight is None else weight.to(images.device).gather(1, masked)
        return MAEOutput(masked_loss(prediction, target, weight), prediction)

    def encode(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encoder tokens (B, 1 + visible, width), the class token first; without a mask all patches are visible."""
        visible, _ = self._split(images, mask)
        tokens = self._encode(_pick(self._patches(images), visible), visible)
        if self.class_tokens == 1:
            return tokens
        first, rest = tokens.tensor_split([self.class_tokens], dim=1)
        return torch.cat([first.mean(1, keepdim=True), rest], dim=1)

    def reconstruct(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Images (B, 3, H, W), not clamped to [0, 1], with the decoder's predictions.

        With a mask, masked patches are predicted and visible ones copied from the input. Without one, or if it hides
        nothing, every patch is predicted (the paper's Figure 5), although training has no loss on visible patches. With
        `norm_pixels` the prediction is brought back to pixels with the mean and deviation of the *true* patch.
        """
        if not self.has_decoder:
            raise ValueError("this model was released without its decoder, so it reconstructs nothing")
        patches = self._patches(images)
        visible, masked = self._split(images, mask)
        prediction = self._decode(self._encode(_pick(patches, visible), visible), visible, masked).to(patches.dtype)
        wanted = masked if masked.shape[1] else visible
        if self.norm_pixels:
            _, mean, deviation = normalise(_pick(patches, wanted))
            prediction = prediction * deviation + mean
        whole = unpatchify(patches.scatter(1, wanted[..., None].expand_as(prediction), prediction), self.patch)
        return whole * self.pixel_std + self.pixel_mean

    def encoder_state(self) -> dict[str, Tensor]:
        """The encoder's part of the state, under timm's names."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(_DECODER)}

    def load_encoder(self, state: dict[str, Tensor]) -> None:
        """Load the encoder from the state of a timm VisionTransformer, ignoring a classifier head.

        Raises RuntimeError, from torch, for a missing, unknown or misshapen tensor.
        """
        decoder = {name: value for name, value in self.state_dict().items() if name.startswith(_DECODER)}
        self.load_state_dict(
            {name: v for name, v in state.items() if not name.startswith(("head", "fc_norm"))} | decoder
        )

    def _patches(self, images: Tensor) -> Tensor:
        """Standardised patches (B, L, patch * patch * 3) of images in [0, 1]. Raises ValueError for uint8."""
        if not images.is_floating_point():
            raise ValueError(f"images are {images.dtype}: a model takes floats in [0, 1], so divide bytes by 255")
        return patchify((images - self.pixel_mean) / self.pixel_std, self.patch)

    def _split(self, images: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Indices of visible and masked patches on the images' device; without a mask all are visible."""
        if mask is None:
            mask = torch.zeros(len(images), self.grid**2, dtype=torch.bool)
        visible, masked = split_mask(mask, self.grid**2)
        return visible.to(images.device), masked.to(images.device)

    def _encode(self, patches: Tensor, visible: Tensor) -> Tensor:
        """Tokens (B, class_tokens + V, width) of selected patches (B, V, patch * patch * 3) at positions `visible`."""
        # The embedding is a convolution with disjoint windows, so it is a matrix product over each selected patch.
        kernel = self.patch_embed.proj.weight.permute(0, 2, 3, 1).flatten(1)
        of_class, positions = self.pos_embed[0].tensor_split([self.class_tokens])
        tokens = F.linear(patches, kernel, self.patch_embed.proj.bias) + positions[visible]
        first = (self.cls_token + of_class).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def _decode(self, tokens: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Predictions (B, M, patch * patch * 3) at `masked` (B, M); at `visible` if nothing is masked."""
        of_class, positions = self.decoder_pos_embed[0].tensor_split([self.class_tokens])
        places = torch.cat([of_class.expand(len(tokens), -1, -1), positions[visible]], dim=1)
        seen = self.decoder_embed(tokens) + places
        hidden = self.mask_token + positions[masked]
        tokens = torch.cat([seen, hidden.to(seen.dtype)], dim=1)
        start = self.class_tokens + (visible.shape[1] if masked.shape[1] else 0)
        *blocks, last = self.decoder_blocks
        for block in blocks:
            tokens = block(tokens)
        return self.decoder_pred(self.decoder_norm(_answer(last, tokens, start)))


def _answer(block: Block, tokens: Tensor, start: int) -> Tensor:
    """`block(tokens)[:, start:]` without computing the other tokens, which serve only as keys and values."""
    attention, width = block.attn, tokens.shape[-1]
    normed = block.norm1(tokens)
    weight, bias = attention.qkv.weight, attention.qkv.bias
    q = F.linear(normed[:, start:], weight[:width], bias[:width])
    k, v = F.linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
    q, k, v = (part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B, asked, width)
    asked = tokens[:, start:] + attention.proj(mixed)
    return asked + block.mlp(block.norm2(asked))


def masked_loss(prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Squared error of (B, M, patch * patch * 3): its mean over a patch, then over masked patches (Equation 2).

    With a weight (B, M), its weighted sum over an image's patches, then the mean over images.
    """
    errors = (prediction.float() - target).square().mean(dim=-1)
    return errors.mean() if weight is None else (errors * weight).sum(dim=1).mean()


def normalise(patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches normalised to mean 0 and deviation 1 (MAE's target), their mean and their deviation (..., 1)."""
    mean = patches.mean(dim=-1, keepdim=True)
    deviation = (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()  # unbiased variance, as published
    return (patches - mean) / deviation, mean, deviation


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B, 3, H, W) -> (B, L, patch * patch * 3); a patch is stored row, column, channel."""
    batch, channels, height, width = images.shape
    if height != width or height % patch:
        raise ValueError(f"images of {height} x {width} pixels do not divide into a square grid of patches of {patch}")
    grid = height // patch
    split = images.reshape(batch, channels, grid, patch, grid, patch)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(batch, grid**2, patch**2 * channels)


def unpatchify(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `patchify`."""
    batch, count, size = patches.shape
    grid, channels = int(count**0.5), size // patch**2
    split = patches.reshape(batch, grid, grid, patch, patch, channels)
    return split.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, grid * patch, grid * patch)


def split_mask(mask: Tensor, patches: int) -> tuple[Tensor, Tensor]:
    """Indices of the visible (B, V) and of the masked (B, M) patches, ascending, on the mask's device.

    Raises ValueError unless the mask is boolean, (B, patches), and every row hides the same number of patches.
    """
    if mask.dtype != torch.bool or mask.ndim != 2 or mask.shape[1] != patches:
        raise ValueError(f"a mask must be boolean of shape (B, {patches}), not {mask.dtype} of {tuple(mask.shape)}")
    hidden = mask.sum(dim=1)
    low, high = (int(end) for end in hidden.aminmax()) if len(mask) else (0, 0)
    if low != high:
        raise ValueError(f"every row of a mask must hide the same number of patches, not from {low} to {high}")
    column = torch.arange(patches, device=mask.device).expand_as(mask)
    return column[~mask].view(len(mask), patches - high), column[mask].view(len(mask), high)


def sine_cosine_positions(width: int, grid: int) -> Tensor:
    """Fixed 2-D positions (1, 1 + grid * grid, width) of MAE: zeros for the class token, then column and row waves."""
    frequency = 10000 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(grid, dtype=torch.float64)[:, None] * frequency
    wave = torch.cat([angle.sin(), angle.cos()], dim=1)  # (grid, width / 2)
    table = torch.cat([wave.repeat(grid, 1), wave.repeat_interleave(grid, dim=0)], dim=1)
    return F.pad(table, (0, 0, 1, 0)).float()[None]


def _fixed(width: int, grid: int, class_tokens: int) -> nn.Parameter:
    """`sine_cosine_positions` as a frozen parameter, with zeros for each further class token."""
    return nn.Parameter(F.pad(sine_cosine_positions(width, grid), (0, 0, class_tokens - 1, 0)), requires_grad=False)


def _pick(patches: Tensor, index: Tensor) -> Tensor:
    """Rows `index` (B, n) of patches (B, L, D): (B, n, D)."""
    offset = torch.arange(len(patches), device=patches.device)[:, None] * patches.shape[1]
    return patches.flatten(0, 1)[index + offset]
