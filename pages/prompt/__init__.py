"""The Prompt page: `page` draws it, and the other modules are its parts."""
