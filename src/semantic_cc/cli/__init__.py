"""The command ``semantic-cc``: one module a command; heavy imports happen inside the commands."""
