"""What can be known at all: Bayes limits, posteriors, identifiability, and the tree that pixels reveal."""
