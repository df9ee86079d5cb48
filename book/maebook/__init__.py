"""Figures, provenance, the ledger of claims, and the notebooks and pages that carry them."""
