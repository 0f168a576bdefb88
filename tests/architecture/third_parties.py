"""Writes `app/NOTICE.md`: the packages that Usher needs, with their licences. `make notice` runs it.

It reads the metadata of what is installed: the closure of the dependencies and the extra `postgres`.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
NOTICE: Final = ROOT / "app" / "NOTICE.md"
HEAD: Final = """# Third parties

Usher is licensed under the Apache License 2.0. It is distributed without the packages that it needs; an installer
fetches them, and a container image holds them, each with its licence in its `.dist-info` folder. `make notice` writes
this page from what they declare.

| package | licence | source |
|---|---|---|
"""
FOOT: Final = """
What others made and Usher itself holds:

- `app/accounts/common_passwords.txt`: the commonest passwords, from @zxcvbn-ts/language-common 4.1.3, MIT; its licence
  and copyright stand in the file.
- `app/server/static/uPlot.iife.min.js`, `uPlot.min.css`: uPlot 1.6.32, MIT, unchanged from
  https://github.com/leeoniya/uPlot; its licence and copyright stand in `uPlot.LICENSE` beside them.
"""
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD",
    "mit license": "MIT",
    "3-clause bsd license": "BSD-3-Clause",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "dual license": "Apache-2.0 OR BSD-3-Clause",  # python-dateutil
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
}


def licence(found: Distribution) -> str:
    """Return the licence that a distribution declares, by its SPDX name where it has one."""
    metadata: Any = found.metadata
    declared = metadata.get("License-Expression") or ""
    if not declared:
        short = metadata.get("License") or ""
        classified = [one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or () if "License ::" in one]
        declared = short if short and "\n" not in short and len(short) < 60 else ", ".join(classified)
    return " AND ".join(_SPDX.get(one.strip().lower(), one.strip()) for one in declared.split(",") if one.strip())


def source(found: Distribution) -> str:
    """Return the address of a distribution's source or home page."""
    metadata: Any = found.metadata
    addresses = [one.partition(",") for one in metadata.get_all("Project-URL") or ()]
    by_label: dict[str, str] = {label.strip().lower(): address.strip() for label, _, address in addresses}
    for label in ("source", "source code", "repository", "github", "github: repo", "code", "homepage", "home page"):
        if label in by_label:
            return by_label[label]
    return str(metadata.get("Home-page") or next(iter(by_label.values()), ""))


def requirements() -> list[Requirement]:
    """Return what `pyproject.toml` needs at run time, the extra for PostgreSQL included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [Requirement(one) for one in (*project["dependencies"], *project["optional-dependencies"]["postgres"])]


def closure() -> dict[str, Distribution]:
    """Return the installed distributions that Usher needs, directly or not, by normalised name."""
    wanted, found = requirements(), dict[str, Distribution]()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # needed elsewhere only
            continue
        is_new = name not in found
        found[name] = installed
        for text in installed.requires or ():
            inner = Requirement(text)
            extras = requirement.extras or {""}
            applies = inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras)
            if applies and (is_new or "extra" in str(inner.marker)) and canonicalize_name(inner.name) not in found:
                wanted.append(inner)
    return found


def row(found: Distribution) -> str:
    """Return the line of a distribution in the table."""
    return f"| {found.metadata['Name']} | {licence(found)} | {source(found)} |\n"


def page() -> str:
    """Return the text of the page."""
    return HEAD + "".join(row(found) for _, found in sorted(closure().items())) + FOOT


if __name__ == "__main__":
    NOTICE.write_text(page(), "utf-8")
