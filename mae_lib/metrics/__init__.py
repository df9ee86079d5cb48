"""Scores of trained models: how well they reconstruct, what can be read from their features, and how sure we are."""
