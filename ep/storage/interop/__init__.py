"""Dictionaries in the formats of other tools: a SAELens folder, Neuronpedia JSON, a GGUF control
vector.

Each module writes one format, exactly what its readers expect, and says what the format cannot
hold. Nothing here is read back by the explorer.
"""

from ep.storage.interop import gguf, neuronpedia, saelens

__all__ = ["gguf", "neuronpedia", "saelens"]
