"""Archives: a manifest of pairs in, a folder of results for each and one dataset of all changes out."""
