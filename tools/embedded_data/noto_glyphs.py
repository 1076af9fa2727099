"""Reads the colour bitmaps of the Noto emoji font by code-point sequence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from PIL import Image

from .pictures import on_white

VARIATION_SELECTOR = 0xFE0F


class NotoGlyphs:
    """The font's glyphs. Sequences are resolved by the font's own ligatures, so nothing is drawn by a text engine."""

    def __init__(self, path: Path) -> None:
        font = TTFont(path)
        self._names: dict[int, str] = font.getBestCmap()
        self._bitmaps: dict[str, Any] = font["CBDT"].strikeData[0]
        self._ligatures: dict[tuple[str, ...], str] = {}
        for lookup in font["GSUB"].table.LookupList.Lookup:
            for table in lookup.SubTable:
                for first, ligatures in getattr(table, "ligatures", {}).items():
                    for ligature in ligatures:
                        self._ligatures[(first, *ligature.Component)] = ligature.LigGlyph

    def picture(self, code_points: tuple[int, ...]) -> Image.Image | None:
        """The 136 x 128 bitmap of a sequence on white, or ``None`` where the font has no single glyph for it."""
        shown = [point for point in code_points if point != VARIATION_SELECTOR]
        names = tuple(self._names.get(point, "") for point in shown)
        if "" in names:
            return None
        glyph = names[0] if len(names) == 1 else self._ligatures.get(names)
        if glyph is None or glyph not in self._bitmaps:
            return None
        with Image.open(io.BytesIO(self._bitmaps[glyph].imageData)) as bitmap:
            return on_white(bitmap)
