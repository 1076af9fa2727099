"""Reads the OpenClipart drawings: licence, cleaned title, description, keywords, label and family of each.

The package keeps titles of very different worth. A title that several drawings share ("Lemon SVG theme") names a
collection; then the file's name is read instead. Such a name may end in its author's ("clouds_jon_phillips_03"), and
then the drawing is left to the train side.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .openclipart_unfit import UNFIT_TITLES
from .stems import word_set, words

PUBLIC_DOMAIN = re.compile(r'license[^>]*resource="[^"]*public ?domain', re.I)
OTHER_LICENCE = re.compile(r'license[^>]*resource="[^"]*GPL', re.I)

LEFT_OUT = (
    "logos",  # trade marks
    "shapes/stars",  # 1,375 stars of one generator
    "shapes/jigsaw",
    "special/gradients",
    "special/patterns",
    "special/examples",
    "signs_and_symbols/flags",  # flags have a set of their own, and its test countries must stay unseen
    "geography/flags",
    "recreation/games/cards",
    "unsorted/duplicates",
)
FLAG_WORDS = frozenset({"flag", "flags", "signalflag", "united_nations_member", "subnational"})
COLLECTION = 3
"""A title that so many drawings bear is a collection's."""

MEANINGLESS = word_set(
    "art image images icon icons untitled drawing draw picture unnamed various cliparts clipart test part collection "
    "theme symbol symbols sign signs aiga shape object new file svg vector misc general example sample logo button none "
    "title"
)
FOREIGN = re.compile(
    r"architett|rolland|francesco|yves gui|cyberscooty|arago|"
    r"\b(de|du|des|la|le|les|et|un|une|el|para|il|di|della|con|del|interdit\w*|"
    r"obligatoire|defense|sortie|chaussee|cavallo|sens|voie|virage|panneau|fleche|glace|danger)\b",
    re.I,
)
"""Marks of Italian and French titles; one author alone has several hundred."""

UNFIT = re.compile(
    r"\b(adult|mermaid|nazi|swastika|nude|naked|sexy|sex|bikini|pantyhose|lingerie|penis|breast|condom|bong|marijuana|cannabis|"
    r"terror\w*|suicide|corpse|dead|noose|hitler|stalin|lenin|che|bush|osama|saddam|slave|prophet|muhammad|"
    r"cisco|sprint|hummer|ipod|iphone|windows|microsoft|mozilla|firefox|google|disney|nike|coca|pepsi|mickey|"
    r"superman|batman|pokemon|nintendo|sony|playstation|lego|barbie|debian|ubuntu|gnome|kde|gimp|inkscape|java|"
    r"openoffice|mascot\w*|grandstream|nokia|dell|volkswagen|ferrari|bmw|porsche|starbucks|mcdonald\w*|tux|konqi|"
    r"simpson\w*|snoopy|garfield|homer|logo|wifi|bluetooth|usb|rss|openclipart|sodipodi|xmms|acrobat|flash)\b",
    re.I,
)
"""Drawings not shown in a test set: trade marks, persons, and what some readers would rather not meet."""

UNFIT_FOLDERS = re.compile(r"/(apps|applications|weapons|mimetypes)/|toilet|/emblems/")

REMARK = re.compile(
    r"\b(enjoy|hope|my|me|i|i'm|i've|collection|part of|tutorial|progress|thanks|free|feel|please|version \d|"
    r"license|public domain|openclipart|inkscape|illustrator|sodipodi|gimp|drawn with|made with|created|useful|"
    r"suitable|for use|clip ?art|www|simbolo|(auto)?traced|vectori[sz]\w+|copyright|based|converted|example|file|"
    r"contact|deriv\w+|made to|prototype|easily|your|xml|um|uma|este|esta|que|el|trois|ejemplo|color of thy|"
    r"jean|nice|limits are|svg|normal|voyeg3r|classic|linux|hghttg|guide|badge|lumograph|progess|scouting|went away|"
    r"required|atom|soviet|chao|robot|in hungary)\b|@",
    re.I,
)

SIDE_WORDS = word_set(
    "left right up down north south east west top bottom front back side open closed empty full big small large tiny "
    "black white red green blue yellow orange purple pink brown gray grey silver gold seagreen navy teal dark light "
    "bw colour color coloured colored outline contour simple bordered ornamental alt version mirror mirrored flipped "
    "one two three four five six seven eight nine ten first second third i ii iii iv v b w and with the a an of in "
    "scoop scoops icon symbol sign part clipart clip art rounded square circle"
)
"""Words that tell members of one family apart: they are no part of the family's name."""

LABELS: dict[str, str] = {
    "animals/mammals": "mammal",
    "animals/birds": "bird",
    "animals/bugs": "insect",
    "animals/fish": "fish",
    "buildings/homes": "house",
    "buildings/furniture": "furniture",
    "food/fruit": "fruit",
    "food/vegetables": "vegetable",
    "food/beverages": "drink",
    "food/desserts": "dessert",
    "food/breads_and_carbs": "bread",
    "food/meats_and_eggs": "meat or egg",
    "plants/trees": "tree",
    "plants/flowers": "flower",
    "people": "person",
    "people/smilies": "smiley",
    "people/bodypart": "body part",
    "people/clothing": "clothing",
    "office/telephone": "telephone",
    "office": "office supply",
    "computer/hardware": "computer hardware",
    "computer/folders": "folder icon",
    "recreation/music": "music",
    "recreation/sports": "sport",
    "recreation/holiday": "holiday",
    "science/astronomy": "astronomy",
    "geography/astronomy": "astronomy",
    "science/medicine": "medicine",
    "shapes/arrows": "arrow",
    "shapes/callouts": "speech bubble",
    "signs_and_symbols/hazard": "hazard sign",
    "signs_and_symbols/weather": "weather",
    "signs_and_symbols/clocks": "clock",
    "tools": "tool",
    "transportation/roadsigns": "road sign",
    "transportation/boating": "boat",
    "transportation/vehicles": "vehicle",
}
"""The label of a folder; the longest folder that fits counts."""


@dataclass(frozen=True)
class Drawing:
    """One SVG file. ``key`` is its path below the collection, with "__" for "/" and without the suffix.

    ``fit_for_test`` speaks of the picture, ``readable`` of its title: one with a poor title and a good description
    still serves where the description is asked for.
    """

    key: str
    path: Path
    title: str
    description: str
    keywords: tuple[str, ...]
    label: str
    fit_for_test: bool
    readable: bool = True

    @property
    def folder(self) -> str:
        return self.key.rpartition("__")[0].replace("__", "/")

    @property
    def file_name(self) -> str:
        return self.key.rpartition("__")[2]


def read_drawings(root: Path) -> list[Drawing]:
    """All public-domain drawings that have a title worth reading, in path order."""
    drawings = [_read(root, path) for path in sorted(root.rglob("*.svg"))]
    present = [drawing for drawing in drawings if drawing is not None]
    counts = Counter(_plain(drawing.title) for drawing in present)
    named = [_with_better_title(drawing, counts[_plain(drawing.title)]) for drawing in present]
    return [_judged(drawing) for drawing in named if is_meaningful(drawing.title)]


def _judged(drawing: Drawing) -> Drawing:
    unfit = {normal_title(title) for title in UNFIT_TITLES}
    bare = normal_title(drawing.title.replace("(black and white)", ""))
    return replace(drawing, readable=drawing.readable and bare not in unfit)


def _read(root: Path, path: Path) -> Drawing | None:
    text = path.read_text(encoding="utf-8", errors="replace")
    relative = path.relative_to(root).with_suffix("")
    if relative.as_posix().startswith(LEFT_OUT):
        return None
    if not PUBLIC_DOMAIN.search(text) or OTHER_LICENCE.search(text):
        return None
    found = re.search(r"<metadata.*?</metadata>", text, re.S)
    metadata = found.group(0) if found else ""
    title, description = _field(metadata, "dc:title"), _field(metadata, "dc:description")
    keywords = [_clean(word).lower() for word in re.findall(r"<rdf:li>(.*?)</rdf:li>", metadata, re.S)]
    folder = relative.parent.as_posix()
    if FLAG_WORDS & {*keywords, *words(title)}:
        return None
    key = plain_key(relative)
    return Drawing(
        key=key,
        path=path,
        title=clean_title(title),
        description=description,
        keywords=tuple(dict.fromkeys(word for word in keywords if _is_keyword(word))),
        label=next((LABELS[known] for known in sorted(LABELS, key=len, reverse=True) if folder.startswith(known)), ""),
        fit_for_test=not (
            UNFIT.search(f"{title} {description} {' '.join(words(key.replace('_', ' ')))} {' '.join(keywords)}")
            or UNFIT_FOLDERS.search(f"/{folder}/")
        ),
        readable=not FOREIGN.search(f"{_creator(metadata)} {title} {key.replace('_', ' ')}"),
    )


def plain_key(relative: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", "__".join(relative.parts))


def _field(metadata: str, tag: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", metadata, re.S)
    return _clean(found.group(1)) if found else ""


def _creator(metadata: str) -> str:
    return " ".join(re.findall(r"<cc:Agent>\s*<dc:title>(.*?)</dc:title>", metadata, re.S))


def _clean(text: str) -> str:
    return " ".join(html.unescape(html.unescape(text)).split())


def _is_keyword(word: str) -> bool:
    """Not a program's leftover ("hash(0x8a0a39c)") and not a name of the collection's own folders ("mapsym")."""
    machine = re.search(
        r"hash|unsorted|signs_and|musicstuff|sym$|appicon|lemon_|architett|^(0x)?[0-9a-f]*\d[0-9a-f]*$", word
    )
    return len(word) > 1 and not machine


def clean_title(title: str) -> str:
    """Take series, author and running number off a title: "Clipart by A B - clock12" becomes "clock"."""
    title = re.sub(r"^(clip ?art by [^-]*|part of [^-]*) - ", "", title, flags=re.I)
    title = re.sub(r"\s+-\s+(rpg map elements|iconset).*$", "", title, flags=re.I)
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[_\-/]+", " ", title))
    title = re.sub(r"\b(ganson|benji( pa\w*)?|nicu( bu\w*)?|aj)$", "", title.strip(" _"), flags=re.I)
    title = re.sub(r"\(?\b(bw|b ?and ?w)\b\)?", "(black and white)", title, flags=re.I)
    title = re.sub(r"(?<=[A-Za-z])\d+\b|\b\d+$|\(\d+\)|\.svg$", "", title)
    return " ".join(title.split()).strip(" .,:;-")


def _with_better_title(drawing: Drawing, count: int) -> Drawing:
    named_alike = set(words(drawing.title)) & set(words(drawing.file_name.replace("_", " "))) - MEANINGLESS
    if is_meaningful(drawing.title) and (count < COLLECTION or named_alike):
        return drawing
    signed = (
        not drawing.readable
        or bool(re.search(r"_$|_0?\d$", drawing.file_name))
        or drawing.folder.startswith("computer")
    )
    name = re.sub(r"^(aiga|gnome|kde|hotel_icon|kids|menu)_", "", drawing.file_name)
    return replace(drawing, title=clean_title(name), readable=not signed)


def is_meaningful(title: str) -> bool:
    """Whether a title names something: two words of three letters, or one that isn't a word like "image"."""
    named = [word for word in words(title) if len(word) >= 3 and not word.isdigit() and word not in MEANINGLESS]
    return bool(named) and len(title) <= 60 and all(len(word) <= 16 for word in words(title))


def _plain(title: str) -> str:
    return " ".join(words(title))


def normal_title(title: str) -> str:
    """Titles that are equal in this form answer one another: case, accents, articles and a plural s don't count."""
    kept = [word for word in words(title) if word not in {"a", "an", "the", "of", "icon", "clipart", "svg"}]
    return " ".join(re.sub(r"(?<=\w{2}[^s])s$", "", word) for word in kept)


def description_is_good(drawing: Drawing) -> bool:
    """Whether the description says what is to be seen: five words or more, and no remark about its own making."""
    text = drawing.description
    if not 5 <= len(words(text)) <= 80 or _plain(text) == _plain(drawing.title) or "http" in text:
        return False
    return not REMARK.search(text)


def family_names(drawing: Drawing) -> Iterable[str]:
    """Names that put drawings into one family: the bare title, and the bare file name within its folder."""
    for prefix, text in (("title", drawing.title), (drawing.folder, drawing.file_name.replace("_", " "))):
        bare = [re.sub(r"\d+", "", word) for word in words(text)]
        name = " ".join(word for word in bare if len(word) > 2 and word not in SIDE_WORDS)
        yield f"{prefix}:{name or _plain(text)}"
