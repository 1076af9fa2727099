"""Figures: told apart by everyone, readable, the same bytes again, and what the command draws from results and files."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from unite_bench import results
from unite_bench.cli import commands
from unite_bench.errors import DataError, UsageError
from unite_bench.report.comparing import Comparison, compare
from unite_bench.report.figures import from_results, from_tables, style
from unite_bench.report.figures.bars import bars
from unite_bench.report.figures.cost import cost
from unite_bench.report.figures.simplex import simplex
from unite_bench.report.figures.training import Panel, training_curves
from unite_bench.results import Result

COMMITTED = results.committed_root()
FIVE = ["random", "hashed-text", "pixels", "st:all-MiniLM-L6-v2", "reference:nano"]
# How colours look without one kind of cone, on linear RGB (Machado, Oliveira and Fernandes, IEEE TVCG 15, 2009, severity 1).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = (TO_XYZ @ np.clip(rgb, 0, 1)) / [0.95047, 1.0, 1.08883]
    x, y, z = (v ** (1 / 3) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def ciede2000(one: np.ndarray, two: np.ndarray) -> float:
    """Colour difference after Sharma, Wu and Dalal (Color Research and Application 30, 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * stretch)) % 360, np.degrees(np.arctan2(b2, a2 * stretch)) % 360
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    hue = (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 + sum(
        share * np.cos(np.radians(n * hue + at))
        for share, n, at in ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.2, 4, -63))
    )
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    rotation = (
        -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    )
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def test_the_colour_difference_is_that_of_the_paper() -> None:
    """Three pairs of the table of test data in Sharma, Wu and Dalal."""
    for one, two, expected in (
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ):
        assert ciede2000(np.array(one), np.array(two)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("eyes", list(SEEN))
def test_any_two_series_differ_in_colour_for_everyone(eyes: str) -> None:
    """12 is plain to see beside each other; 2 is hardly so. The paper is a colour too."""
    seen = {colour: lab(SEEN[eyes] @ linear(colour)) for colour in (*style.COLOURS, "#ffffff")}
    for one, two in combinations(seen, 2):
        assert ciede2000(seen[one], seen[two]) >= 12, (eyes, one, two)


def test_any_two_series_differ_without_colour() -> None:
    looks = style.looks("abcdefgh")
    for one, two in combinations(looks, 2):
        assert one.marker != two.marker and (one.dash, one.hatch) != (two.dash, two.hatch)
    grey = {look.hatch: set() for look in looks}
    for look in looks:
        grey[look.hatch].add(round(lab(np.full(3, linear(look.colour) @ TO_XYZ[1]))[0] / 15))
    assert sum(map(len, grey.values())) == len(looks), "bars of one hatch differ in lightness"
    with pytest.raises(UsageError, match="9 embedders in one figure; at most 8"):
        style.looks("abcdefghi", "embedders")


def suite_figure(kind: str) -> Any:
    suite = "embedded-sanity" if kind in ("heat-map", "bars") else "embedded-scenes"  # whose tasks have long names
    chosen = from_results.chosen([COMMITTED], suite, [], FIVE)
    if kind == "cost":
        return from_results.cost_of(*chosen, by="dimension")
    return {
        "radar": from_results.radar_of,
        "bars": from_results.bars_of,
        "heat-map": from_results.heat_map_of,
    }[kind](*chosen)


@lru_cache(maxsize=1)
def compared() -> Comparison:
    return compare([COMMITTED], ["reference:nano", "random"], suites=["embedded-sanity"])


def mixtures(folder: Path) -> Path:
    (folder / "mixtures.csv").write_text("text,image,video,score\n1,0,0,0.31\n0,1,0,0.36\n0,0,1,0.33\n1,1,2,0.42\n")
    return folder / "mixtures.csv"


def frames(folder: Path) -> Path:
    rows = [
        f"{name},{n},{0.3 + n / 100},{0.28 + n / 100},{0.32 + n / 100}" for name in ("a$x$", "b") for n in (1, 2, 4, 8)
    ]
    (folder / "frames.csv").write_text("\n".join(["embedder,frames,score,low,high", *rows]))
    return folder / "frames.csv"


def losses(folder: Path) -> Path:
    rows = [f"{panel},{name},{n},{4 / (n + 1)}" for panel in ("loss", "hit@1") for name in "abc" for n in range(30)]
    (folder / "losses.csv").write_text("\n".join(["panel,line,steps,y", *rows]))
    return folder / "losses.csv"


FIGURES = {
    "radar": lambda folder: suite_figure("radar"),
    "bars": lambda folder: suite_figure("bars"),
    "heat-map": lambda folder: suite_figure("heat-map"),
    "cost": lambda folder: suite_figure("cost"),
    "forest": lambda folder: from_results.forest_of(compared(), margin=0.05),
    "simplex": lambda folder: from_tables.simplex_of(mixtures(folder)),
    "scaling": lambda folder: from_tables.scaling_of(frames(folder)),
    "training": lambda folder: from_tables.training_of(losses(folder)),
}
SAID = {
    "radar": ("(score - chance)", "14 tasks", "No intervals", "†"),
    "bars": ("primary measure", "49 to 697 queries a task", "95 % intervals for new queries", "chance"),
    "heat-map": ("primary measure", "No intervals", "n/a"),
    "cost": ("(score - chance)", "14 tasks", "No intervals", "Without a mean or a cost: hashed-text"),
    "forest": (
        "primary measure",
        "49 to 697 queries a task",
        "Intervals are 95 %",
        "corrected by Holm over",
        "margin of 5",
    ),
    "simplex": ("Score by mixture of text, image, video", "4 models", "No intervals"),
    "scaling": ("Score over frames", "8 measurements", "Bands: intervals as given"),
    "training": ("loss, hit@1 over steps", "one run", "No intervals"),
}


@pytest.mark.parametrize("kind", list(FIGURES))
def test_a_figure_is_readable_says_what_it_shows_and_comes_out_the_same(kind: str, tmp_path: Path) -> None:
    figure = FIGURES[kind](tmp_path)
    caption = " ".join(figure.get_supxlabel().split())
    assert all(said in caption for said in SAID[kind]), caption
    for name, drawn in (("one.pdf", figure), ("two.pdf", FIGURES[kind](tmp_path))):
        style.save(drawn, tmp_path / name)
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf
    assert b"/Subtype /Image" not in pdf, "vectors alone"
    assert_readable(figure)


def assert_readable(figure: Any) -> None:
    """All text is of 7 points or more, nothing lies outside the picture, and labels of an axis keep apart."""
    from matplotlib.text import Text

    assert all(text.get_fontsize() >= style.SMALL for text in figure.findobj(Text) if text.get_text().strip())
    figure.set_dpi(style.DOTS)  # which saving a PDF changed
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= 0 and drawn.x1 <= width and drawn.y0 >= 0 and drawn.y1 <= height, drawn
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            labels = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes = [t.get_window_extent() for t in labels if t.get_visible() and t.get_text() and not t.get_rotation()]
            assert not any(one.overlaps(two) for one, two in combinations(boxes, 2)), [t.get_text() for t in labels]


def test_the_same_bytes_in_another_process_and_whatever_was_saved_before(tmp_path: Path) -> None:
    """Python hashes text differently in each process; nothing in the file may depend on it."""
    code = (
        "import sys; from pathlib import Path; from unite_bench.report.figures import from_tables, style; "
        "drawn = from_tables.training_of(Path(sys.argv[1])); [style.save(drawn, Path(out)) for out in sys.argv[2:]]"
    )
    for seed, suffixes in (("1", style.SUFFIXES), ("2", style.SUFFIXES[::-1])):
        call = [sys.executable, "-c", code, losses(tmp_path), *(tmp_path / f"{seed}{suffix}" for suffix in suffixes)]
        subprocess.run(call, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    for suffix in style.SUFFIXES:
        assert (tmp_path / f"1{suffix}").read_bytes() == (tmp_path / f"2{suffix}").read_bytes(), suffix


def test_the_height_follows_the_caption() -> None:
    figure = bars(["t"], ["e"], *(np.full((1, 1), v) for v in (0.5, 0.4, 0.6)), np.zeros(1), "word " * 100)
    tall = figure.get_figheight()
    assert style.captioned(figure, "short").get_figheight() < tall and figure.get_supxlabel() == "short"
    assert style.captioned(figure, "word " * 100).get_figheight() == pytest.approx(tall)


def heights(figure: Any) -> list[float]:
    return [bar.get_height() for bar in figure.axes[0].patches]


def test_bars_are_the_scores_and_their_whiskers_the_intervals() -> None:
    low, values, high = np.array([[0.2, np.nan]]), np.array([[0.5, np.nan]]), np.array([[0.6, np.nan]])
    figure = bars(["t", "u"], ["e"], values, low, high, np.array([0.1, 0.2]), "")
    assert heights(figure) == [50.0, 0.0]
    assert [t.get_text() for t in figure.axes[0].texts] == ["n/a"]
    (whiskers, *_) = [c for c in figure.axes[0].collections if len(c.get_segments()) == 2]
    assert np.allclose(whiskers.get_segments()[0][:, 1], [20, 60])


def test_the_front_of_cost_leaves_out_what_a_cheaper_embedder_reaches() -> None:
    figure = cost(list("abcd"), np.array([1.0, 2.0, 4.0, 4.0]), np.array([0.5, 0.4, 0.6, 0.7]), "ms", "")
    front = figure.axes[0].lines[-1]
    assert front.get_xdata().tolist() == [1.0, 4.0] and np.allclose(front.get_ydata(), [50, 70])


def test_cost_of_encoding_is_seconds_over_what_was_encoded() -> None:
    def result(computed: int, seconds: float) -> Result:
        return Result({}, {"encoded": {"computed": computed, "reused": 9}, "seconds": {"encode": seconds}})

    assert from_results._milliseconds([result(10, 0.5), result(0, 0.1), result(30, 1.5)]) == pytest.approx(50.0)
    assert np.isnan(from_results._milliseconds([result(0, 0.1), Result({}, {"seconds": {"encode": 1.0}})]))


def test_corners_of_the_simplex_are_single_kinds() -> None:
    figure = simplex(["a", "b", "c"], np.array([[2.0, 0, 0], [0, 1, 0], [0, 0, 5], [1, 1, 1]]), np.arange(4) / 10, "")
    at = figure.axes[0].collections[0].get_offsets()
    assert np.allclose(at, [[0.5, 0.866], [0, 0], [1, 0], [0.5, 0.289]], atol=1e-3)
    with pytest.raises(DataError, match="at least 0"):
        simplex(["a", "b", "c"], np.array([[0.0, 0, 0]]), np.zeros(1), "")


def test_stages_of_training_are_marked() -> None:
    points = [(0.0, 3.0), (5.0, 1.0)]
    panels = [Panel("loss", {"a": points}, top=4), Panel("hit@1", {"b": points}), Panel("talks", {"c": points})]
    figure = training_curves(panels, "minutes", {"second": 2.0}, "")
    assert [axes.get_visible() for axes in figure.axes] == [True, True, True, False]
    assert figure.axes[0].lines[-1].get_xdata() == [2.0, 2.0] and figure.axes[0].get_ylim() == (0, 4)


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("simplex", "a,b,score\n1,0,0.2\n", "3 columns .a, b, score.; this figure takes 4"),
        ("simplex", "a,b,c,score\n1,0,0,31\n", "shares of 1, not percent"),
        ("simplex", "a,b,c,score\n1,0,0\n", ":2: 3 values under 4 columns"),
        ("scaling", "e,frames,score\na,two,0.5\n", ":2: could not convert string to float: 'two'"),
        ("scaling", "e,frames,score\na,0,0.5\n", "frames stands on a logarithmic axis"),
        ("training", "panel,line,x,y\n", "at least one row"),
    ],
)
def test_wrong_files_are_named_with_the_line(tmp_path: Path, kind: str, text: str, why: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=why):
        getattr(from_tables, f"{kind}_of")(tmp_path / "x.csv")


def test_the_command_writes_the_file_and_prints_the_caption(tmp_path: Path) -> None:
    def draw(*arguments: str) -> Any:
        return CliRunner().invoke(commands(), ["figure", *arguments])

    out = tmp_path / "frames.pdf"
    done = draw("scaling", "--data", str(frames(tmp_path)), "--out", str(out))
    assert done.exit_code == 0 and "Score over frames" in done.stdout and out.read_bytes().startswith(b"%PDF")
    own = draw("scaling", "--data", str(frames(tmp_path)), "--caption", "Mine.", "--out", str(out))
    assert own.stdout.strip() == f"{out}: Mine."
    some = ("--committed", "--task", "scenes-t2t")
    some += ("--embedder", "hashed-text", "--embedder", "random", "--embedder", "constant")
    for kind in ("bars", "forest"):
        assert draw(kind, *some, "--out", str(tmp_path / f"{kind}.png")).exit_code == 0
    for arguments, why in (
        (("scaling", "--out", "x.pdf"), "drawn from a CSV file"),
        (("radar", "--out", "x.pdf"), "--suite NAME"),
        (("bars", *some, "--out", "x.jpg"), "ends in .pdf or .png"),
        (("bars", *some, "--out", str(tmp_path / "no" / "x.pdf")), "cannot write the figure"),
        (("bars", *some, "--embedder", "nobody", "--out", "x.pdf"), "no results of 'nobody'"),
        (("bars", *some, "--suite", "embedded-scenes", "--out", "x.pdf"), "give one of them"),
    ):
        found = draw(*arguments).exception
        assert isinstance(found, UsageError) and why in str(found), arguments
