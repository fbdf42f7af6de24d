"""Draws over HTTP, for programs: nothing but the standard library, and of this package the errors alone.

endpoint.py      one service: its address, its connections, one exchange that ends in time
answers.py       what must hold of an answer before its bytes are used
steps.py         what is drawn and how: parts, mixing, the next endpoint, the policy when there are no bytes
draws.py         RandomClient, which sleeps between the steps
asynchronous.py  AsyncRandomClient, which awaits between them
generator.py     a NumPy generator seeded by one draw
kernel.py        bytes for the kernel's own generator
"""

from entropy_assets.client.answers import Cut
from entropy_assets.client.asynchronous import AsyncRandomClient
from entropy_assets.client.draws import RandomClient
from entropy_assets.client.steps import Drawn, LocalBytesWarning, PublicDraw, WhenDry

__all__ = [
    "AsyncRandomClient",
    "Cut",
    "Drawn",
    "LocalBytesWarning",
    "PublicDraw",
    "RandomClient",
    "WhenDry",
]
