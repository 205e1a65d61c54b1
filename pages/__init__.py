"""The screens: a folder each, which knows itself, `pages.shared` and `ep`, never another page."""
