"""The Steer page: `page` draws it, the other modules are its parts."""
