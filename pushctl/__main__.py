"""Run pushctl as ``python -m pushctl``."""

from pushctl.cli import main

if __name__ == "__main__":
    main()
