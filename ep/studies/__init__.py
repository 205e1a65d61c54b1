"""Studies of dictionaries: functions from arrays, dictionaries and models to dataclasses.

None of them draws anything or loads a model itself.
"""
