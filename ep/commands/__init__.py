"""The commands of `ep`: one module for each kind, with the options and the code that runs them.

Each module has a function `add`, which adds its commands to the parser. Heavy modules are imported
inside the functions, when a command runs.
"""
