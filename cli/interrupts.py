"""Ctrl-C that Python dropped."""

import signal
import sys
import threading

AGAIN = 0.1
"""Seconds until it is told again."""


def hear_dropped_interrupts() -> None:
    """From now on a KeyboardInterrupt is told again where nothing can raise it: in finalizers and callbacks.

    JAX has one that Python calls at every collection of garbage; Ctrl-C during a long one would be lost there.
    """

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            timer = threading.Timer(AGAIN, _interrupt)  # later, as here it would be dropped again
            timer.daemon = True
            timer.start()
        else:
            sys.__unraisablehook__(unraisable)

    sys.unraisablehook = hook


def _interrupt() -> None:
    """Sends the main thread what Ctrl-C sends it, which ends its waits too."""
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
