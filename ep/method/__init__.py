"""Exemplar Partitioning itself: arrays in, arrays out. Knows no model, no file and no screen.

    geometry      raw activations to unit directions, cosine distance
    calibration   centre and thresholds          (percentiles: exact ones of all pairs)
    leaders       the clustering                 (nearest: the rule itself; search: the same, fast)
    members       what is remembered of members  (excerpts, counting, summing, growing, priority)
    saturation    when to stop
    draft         one dictionary in the making
    dictionary    one finished, with regions and excerpts; assignment: what it says of activations
    readouts      which regions an activation activates
    surroundings  nearest regions, map axes, groups

Import from the modules; `ep` itself names what others rely on. Only leaders and search load torch.
"""
