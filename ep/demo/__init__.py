"""The bundled demo, made from nothing: a corpus, a tokenizer, and two tiny Gemma-2 models (base and
tuned).

`recipe.make` is the whole flow. Nothing here is needed to open a dictionary or to run the explorer.
"""
