"""The pool of sending processes on this machine."""

from concurrent.futures import ProcessPoolExecutor

from pushctl.push.postbox import Postbox


def executor(workers: int, postbox: Postbox) -> ProcessPoolExecutor:
    raise NotImplementedError
