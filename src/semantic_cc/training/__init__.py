"""The training room: stages as data, one loop for all of them, exact resume, evaluation."""
