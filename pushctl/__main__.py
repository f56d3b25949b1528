"""Run pushctl as ``python -m pushctl``."""

from pushctl.quick import main

if __name__ == "__main__":
    main()
