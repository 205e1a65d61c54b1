"""The targets of `ep export` for other tools: SAELens, Neuronpedia and llama.cpp."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ep.commands.options import output_path, usable_labels
from ep.errors import ConfigError

Arguments = argparse.Namespace


def saelens(dictionary: Any, arguments: Arguments) -> Path:
    """Write a folder that `SAE.load_from_disk` loads."""
    from ep.storage.interop import saelens

    return saelens.write(dictionary, _out(arguments, "-saelens"), arguments.basis)


def neuronpedia(dictionary: Any, arguments: Arguments) -> Path:
    """Write one region's vector with --region, else the upload requests of all regions."""
    from ep.storage.interop import neuronpedia, packed
    from ep.storage.sidecar import write_bytes

    labels = usable_labels(arguments.file, dictionary)
    model = arguments.model_id or packed.model_id(dictionary)
    if arguments.region is None:
        ids, source = range(len(dictionary)), packed.source(dictionary)
        body: Any = list(neuronpedia.features(dictionary, ids, model, source, labels.texts()))
        path = _out(arguments, "-neuronpedia.json")
    else:
        region, strength = dictionary.check(arguments.region), arguments.strength
        label = labels.best(region)
        body = neuronpedia.vector(dictionary, region, model, label, arguments.basis, strength)
        path = _out(arguments, f"-region-{region}-neuronpedia.json")
    write_bytes(path, json.dumps(body, indent=1).encode())
    return path


def gguf(dictionary: Any, arguments: Arguments) -> Path:
    """Write one region's direction as a control vector."""
    from ep.storage.interop import gguf

    if arguments.region is None:
        raise ConfigError("a control vector is one region's direction: name it with --region ID")
    path = _out(arguments, f"-region-{arguments.region}.gguf")
    return gguf.write(
        dictionary,
        arguments.region,
        path,
        arguments.basis,
        arguments.strength,
        arguments.model_hint,
    )


def _out(arguments: Arguments, ending: str) -> Path:
    """The path of --out, or the dictionary's path with another ending."""
    if arguments.out:
        return output_path(arguments.out)
    file = Path(arguments.file)
    return file.with_name(file.name.removesuffix(".ep.h5") + ending)
