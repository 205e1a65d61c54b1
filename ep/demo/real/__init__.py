"""The real demo: a model that others made, text that it wrote, and a sibling tuned to refuse.

`recipe.make` makes all of it but the model. This package is not needed to open a dictionary.
"""
