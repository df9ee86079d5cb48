"""Images whose latent hierarchy is known, and the real images that ship inside dependencies, behind one interface."""

from mae_lib.worlds.rendered import rendered
from mae_lib.worlds.world import Level, Sample, World, make_world

__all__ = ["Level", "Sample", "World", "make_world", "rendered"]
