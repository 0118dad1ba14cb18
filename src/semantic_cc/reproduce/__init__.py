"""The paper's tables and figures, each from one command.

`tables` declares what a table holds, `scales` how large a run is, `runs` trains and scores what is not done yet,
`layout` prints our numbers beside the paper's, `pictures` draws the figures.
"""
