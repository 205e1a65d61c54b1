"""What each command takes and does, a module for each kind; the modules import what is heavy when
it is run.
"""
