"""A build whose model runs on the machines of a Ray cluster.

    connecting.py   from an address to a connection, or one line that says why there is none
    worker.py       one copy of the model in a process of the cluster, and what proves it the same
    workers.py      all copies: what each is given, and what becomes of one that is lost
    ordering.py     results that come in any order, given on in the order of the stream
    extractor.py    the four together, behind the interface of `ep.models.extraction`

The build itself stays one process: it reads the text, decides every activation in the order of the
stream, and saves its state. Only the parts of batches go to the workers and their activations come
back, so regions, their order and the digest are those of a build without a cluster.

`import ray` is in functions only: it is needed where an address is given.
"""

from ep.cluster.extractor import RayExtractor, check_cluster

__all__ = ["RayExtractor", "check_cluster"]
