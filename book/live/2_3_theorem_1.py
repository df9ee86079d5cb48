from mae_lib.theory import LatentHierarchy, locate_shared_information
from maebook.explorer.live import draw

graph = {  # each latent and its children
    "z1": ["z2", "z3"],
    "z2": ["z5", "z6"],
    "z3": ["x1", "x2", "x3"],
    "z5": ["x4", "x5"],
    "z6": ["x6", "x7"],
}
masked = ["x1", "x2", "x3"]

hierarchy = LatentHierarchy(graph)
shared = locate_shared_information(hierarchy, masked)
print("c is", sorted(shared.c))
draw(hierarchy, masked, shared)
