"""What `python -m mae_lib SUBCOMMAND` does: one file a subcommand, each with its parser (`add`) and its deed (`run`).

Imports that take seconds stand inside `run`, so that --help is quick.
"""
