"""Pictures for people, and the files that a description is written to."""
