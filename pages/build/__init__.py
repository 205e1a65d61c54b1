"""The Build page: `page` draws it from the parts in the other modules."""
