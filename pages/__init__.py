"""The screens, one file each; `pages.shared` is the only code they have in common."""
