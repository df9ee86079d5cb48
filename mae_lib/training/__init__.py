"""Masked autoencoders: masks, model, training loop, checkpoints, and runs that are trained once."""

from mae_lib.training.checkpoints import CheckpointError
from mae_lib.training.config import PretrainConfig
from mae_lib.training.engine import DivergedError
from mae_lib.training.hardware import Hardware
from mae_lib.training.mae import MAE, MAEOutput
from mae_lib.training.masks import MaskSampler
from mae_lib.training.pretrain import pretrain
from mae_lib.training.run import Run, find, load_model

__all__ = [
    "MAE",
    "CheckpointError",
    "DivergedError",
    "Hardware",
    "MAEOutput",
    "MaskSampler",
    "PretrainConfig",
    "Run",
    "find",
    "load_model",
    "pretrain",
]
