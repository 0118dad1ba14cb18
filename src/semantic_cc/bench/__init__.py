"""How fast a machine does what this package is for, and whether two runtimes give equal results."""
