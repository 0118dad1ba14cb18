"""The paper's tables and figures, each from one command.

`paper_tables` defines the tables, `scales` the sizes of the runs, `experiment_runs` trains and scores what is missing,
`kept_evaluation` reads the scores, `table_format` formats our numbers beside the paper's, `paper_figures` draws the
figures, `paper_curves` scores over training pairs and epochs.
"""
