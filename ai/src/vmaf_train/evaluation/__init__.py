"""A model file against pictures and their truth: measures, intervals, curves, what they cost."""
