"""The Region page: `page` draws it, and the other modules are its parts."""
