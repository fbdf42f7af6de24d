"""Write what is installed as a bill of materials in CycloneDX 1.6: ``python sbom.py NAME``, by the interpreter meant.

Of what lies there, not of what was asked for: name, version, licence as the package tells it, and the package's
address in the form that databases of vulnerabilities know (purl). The same installation gives the same bytes.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from typing import Any


def normalised(name: str) -> str:
    """Return a distribution's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def purl_of(distribution: Distribution) -> str:
    """Return the package's address, ``pkg:pypi/name@version``."""
    return f"pkg:pypi/{normalised(distribution.name)}@{distribution.version}"


def licences_of(distribution: Distribution) -> list[dict[str, Any]]:
    """Return the licence as the package tells it: its SPDX expression, or what its classifiers name."""
    about = distribution.metadata
    if "License-Expression" in about:
        return [{"expression": about["License-Expression"]}]
    told = [name for name in about.get_all("Classifier", []) if name.startswith("License ::")]
    return [{"license": {"name": name.rpartition(" :: ")[2]}} for name in sorted(told)]


def needs_of(distribution: Distribution, known: dict[str, str]) -> Iterator[str]:
    """Yield the addresses of the installed packages that one names as its requirements, each once."""
    named = (re.match(r"[A-Za-z0-9._-]+", line) for line in distribution.requires or ())
    yield from sorted({known[name] for match in named if match and (name := normalised(match[0])) in known})


def bill_of(name: str) -> dict[str, Any]:
    """Return the bill of everything that this interpreter can import."""
    found = sorted({purl_of(each): each for each in distributions()}.items())
    known = {normalised(each.name): purl for purl, each in found}
    components = []
    for purl, each in found:
        component = {"type": "library", "bom-ref": purl, "name": each.name, "version": each.version, "purl": purl}
        licences = licences_of(each)
        components.append({**component, "licenses": licences} if licences else component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": f"entropy-assets-{name}"}},
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": list(needs_of(each, known))} for purl, each in found],
    }


if __name__ == "__main__":
    print(json.dumps(bill_of(sys.argv[1]), indent=1))
