"""pushctl.toml: its structure and the checks of its values."""
