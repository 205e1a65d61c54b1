"""The bundled demo: a generated corpus, a tokenizer, and two tiny Gemma-2 models (base and tuned).

`recipe.make` makes everything from scratch. This package is not needed to open a dictionary.
"""
