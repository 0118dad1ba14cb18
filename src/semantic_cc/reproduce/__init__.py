"""The paper's tables and figures, each from one command.

`paper_tables` declares what a table holds, `scales` how large a run is, `experiment_runs` trains and scores what is
not done yet, `kept_evaluation` reads the scores, `table_format` prints our numbers beside the paper's, `paper_figures`
draws the figures.
"""
