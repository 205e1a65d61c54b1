"""Exemplar Partitioning itself: functions of arrays, independent of any model, file or screen.

    geometry      unit directions of raw activations, cosine distances
    metrics       the space of a dictionary: its rows, and the way back (moments: from a sample)
    laws          how rows are compared: a cosine, or the Euclidean distance (points: its rule and
                  search; point_leaders: its clustering)
    calibration   the centre and the thresholds (percentiles: exact ones over all pairs)
    leaders       the clustering (nearest: its rule in plain numpy; search: the same rule, fast,
                  with screens, codes and compiled; rows: what several searches share; threads)
    members       statistics of the members (excerpts and selecting, counting, summing, growing,
                  priority)
    rivals        the regions second nearest to the members
    coarser       where the members lie in coarser dictionaries
    saturation    when to stop streaming
    draft         one dictionary under construction
    dictionary    a finished dictionary, its regions and excerpts (assignment: its result type)
    carrying      exemplars of one dictionary as another sees them
    readouts      which regions an activation activates
    surroundings  nearest regions (closest: their inner loop), map axes, groups
    pairing       one-to-one pairs of two sets of directions (auction: its inner loop)

Import from these modules; `ep` exports the public names. Only leaders, search and the
modules that serve them import torch.
"""
