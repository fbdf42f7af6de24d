"""The user's browser, for ``entropy-assets up --open``."""

import threading
import webbrowser
from collections.abc import Callable


def open_page(url: str, say: Callable[[str], None]) -> threading.Thread:
    """Open `url` in the user's browser, and say so if there is none. Return the thread that does it.

    A thread: a browser in the terminal, or one that `BROWSER` names, keeps its caller waiting until it is closed, and
    the children must be watched meanwhile. It ends with this process.
    """
    thread = threading.Thread(target=_open, args=(url, say), name="browser", daemon=True)
    thread.start()
    return thread


def _open(url: str, say: Callable[[str], None]) -> None:
    try:
        opened = webbrowser.open(url)
    except (webbrowser.Error, OSError, ValueError):  # the last one: BROWSER is no command line
        opened = False
    if not opened:
        say(f"no browser could be opened; visit {url}")
