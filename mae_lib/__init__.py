"""A reproduction of "Understanding Masked Autoencoders via Hierarchical Latent Variable Models"."""
