"""The Atlas page: `page` draws it, and the other modules are its parts."""
