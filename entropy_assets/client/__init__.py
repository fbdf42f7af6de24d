"""Draws over HTTP, for programs: nothing but the standard library, and of this package the errors alone.

endpoint.py      one service: its address, its connections, one exchange that ends in time
answers.py       what must hold of an answer before its bytes are used
draws.py         RandomClient: parts, mixing, the next endpoint, the policy when there are no bytes
asynchronous.py  AsyncRandomClient: the same, awaited
"""

from entropy_assets.client.answers import Cut
from entropy_assets.client.asynchronous import AsyncRandomClient
from entropy_assets.client.draws import Drawn, LocalBytesWarning, PublicDraw, RandomClient, WhenDry

__all__ = [
    "AsyncRandomClient",
    "Cut",
    "Drawn",
    "LocalBytesWarning",
    "PublicDraw",
    "RandomClient",
    "WhenDry",
]
