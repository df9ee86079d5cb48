"""Section 2 of the paper as code: which latents a mask makes learnable. Needs numpy and networkx only.

Without them, as in a browser, only `LatentHierarchy` and Theorem 1 for one mask at a time work.
"""

from mae_lib.theory.hierarchy import LatentHierarchy
from mae_lib.theory.shared_information import (
    SharedInformation,
    SharedInformationBatch,
    algorithm_1,
    algorithm_2,
    locate_shared_information,
    locate_shared_information_batch,
)

try:
    from mae_lib.theory.discrete_tree import DiscreteTree
    from mae_lib.theory.grammars import code_grammar, noisy_copies
    from mae_lib.theory.information import Bits, expected_bits, mask_bits
    from mae_lib.theory.linear_gaussian import LinearGaussian
    from mae_lib.theory.mask_levels import (
        Estimate,
        FixedCount,
        IndependentUnits,
        enumerate_probabilities,
        expected_sinks,
        hidden_levels,
        mean_level,
        monte_carlo,
        shared_levels,
        sink_probability,
        sinks_of_targets,
        sinks_per_level,
        split_probability,
        square_units,
        subtree_units,
    )
    from mae_lib.theory.sampled_information import level_posteriors, sampled_bits
except ModuleNotFoundError as missing:
    if missing.name != "numpy":
        raise

__all__ = [
    "Bits",
    "DiscreteTree",
    "Estimate",
    "FixedCount",
    "IndependentUnits",
    "LatentHierarchy",
    "LinearGaussian",
    "SharedInformation",
    "SharedInformationBatch",
    "algorithm_1",
    "algorithm_2",
    "code_grammar",
    "enumerate_probabilities",
    "expected_bits",
    "expected_sinks",
    "hidden_levels",
    "level_posteriors",
    "locate_shared_information",
    "locate_shared_information_batch",
    "mask_bits",
    "mean_level",
    "monte_carlo",
    "noisy_copies",
    "sampled_bits",
    "shared_levels",
    "sink_probability",
    "sinks_of_targets",
    "sinks_per_level",
    "split_probability",
    "square_units",
    "subtree_units",
]


def __getattr__(name: str):
    """Explain why a name could not be imported."""
    if name in __all__:
        raise ModuleNotFoundError(f"{name} needs numpy, which is not here", name="numpy")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
