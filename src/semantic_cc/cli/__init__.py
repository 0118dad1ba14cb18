"""The command ``semantic-cc``: one module per subcommand; heavy imports happen inside the commands."""
