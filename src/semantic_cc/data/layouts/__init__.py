"""The layouts a dataset may have, a module each, and which one a folder has (docs/data.md)."""
