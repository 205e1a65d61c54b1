"""Writes dictionaries for other tools: SAELens folders, Neuronpedia JSON, GGUF control vectors.

Each module writes one format as its readers expect it, and documents what the format cannot
represent. The explorer reads none of them back.
"""

from ep.storage.interop import gguf, neuronpedia, saelens

__all__ = ["gguf", "neuronpedia", "saelens"]
