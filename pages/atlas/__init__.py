"""The Atlas page: `page` draws it, the other modules are its parts."""
