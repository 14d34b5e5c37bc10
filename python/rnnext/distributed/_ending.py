"""A rank's last words when the job is ended around it.

When a rank dies, the launcher sends SIGTERM to the others. They are likely to wait in
the middle of a collective call, where no handler of Python's runs: so a thread listens.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDED = 128 + signal.SIGTERM


@contextmanager
def told_when_ended(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` on SIGTERM, then end the process at once.

    Parameters
    ----------
    tell : callable
        Called in a thread of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    listening, ringing = socket.socketpair()
    ringing.setblocking(False)

    def listen() -> None:
        while signals := listening.recv(64):
            if signal.SIGTERM in signals:
                tell()
                os._exit(ENDED)

    handler = signal.signal(signal.SIGTERM, lambda *_: None)
    wakeup = signal.set_wakeup_fd(ringing.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=listen, name="rnnext-ending", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, handler)
        ringing.close()
        thread.join()
        listening.close()
