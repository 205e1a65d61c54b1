"""The Prompt page: `page` draws it, the other modules are its parts."""
