"""The root app: global options, and errors turned into exit codes."""


def main() -> None:
    raise NotImplementedError
