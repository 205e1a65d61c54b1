"""Exemplar Partitioning itself: functions of arrays, independent of any model, file or screen.

    geometry      unit directions of raw activations, cosine distances
    calibration   the centre and the thresholds (percentiles: exact ones over all pairs)
    leaders       the clustering (nearest: its rule in plain numpy; search: the same rule, fast,
                  with codes and compiled)
    members       statistics of the members (excerpts, counting, summing, growing, priority)
    rivals        the regions second nearest to the members
    coarser       where the members lie in coarser dictionaries
    saturation    when to stop streaming
    draft         one dictionary under construction
    dictionary    a finished dictionary, its regions and excerpts (assignment: its result type)
    readouts      which regions an activation activates
    surroundings  nearest regions, map axes, groups
    pairing       one-to-one pairs of two sets of directions (auction: its inner loop)

Import from these modules; `ep` exports the public names. Only leaders and search import torch.
"""
