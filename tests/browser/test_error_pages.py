"""The error browser in a real browser: filters, search, pieces, two results side by side, clips, keyboard and phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually, expect

from unite_bench import results
from unite_bench.embedders.base import Embedder
from unite_bench.embedders.baselines import ConstantEmbedder, RandomEmbedder
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.evaluation import evaluate
from unite_bench.report.browser.page import write_browser
from unite_bench.report.browser.reading import open_results
from unite_bench.spec.reader import parse_task

pytestmark = pytest.mark.browser

PHONE = (390, 844)
NASTY = ["<script>alert('run')</script>", "<img src=x onerror=alert('run')>", "שלום עולם", "🦊 fox", "word " * 2_000]
QUERIES = 120
TABLES = """
name: tables
version: 1
title: <b>Tables</b>
granularity: coarse
queries: {source: {kind: files, path: queries.jsonl}, id: id, modality: text, text: text}
candidates: {source: {kind: files, path: candidates.jsonl}, id: id, modality: text, text: text}
qrels: {column: positives}
metrics: [hit@1, mrr]
primary: hit@1
slices: [kind]
"""
CLIPS = """
name: clips
version: 1
granularity: coarse
source: {kind: scenes, table: moving, seed: 7001, part: iid, count: 12}
queries: {id: id, modality: text, text: short}
candidates: {id: id, modality: video, video: video, frames: 8, sampling: uniform}
qrels: {column: short_true_of}
metrics: [hit@1]
primary: hit@1
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two results side by side over 120 texts; the second embedder gives every candidate the same score."""
    folder = tmp_path_factory.mktemp("tables")
    texts = [*NASTY, *(f"row {n} of the table" for n in range(len(NASTY), QUERIES))]
    queries = [
        {"id": f"q{n}", "text": text, "positives": [f"c{n}"], "kind": ["odd", "even"][n % 2 == 0]}
        for n, text in enumerate(texts)
    ]
    candidates = [{"id": f"c{n}", "text": f"{n % 7} {text}"} for n, text in enumerate(texts)]
    for name, rows in (("queries", queries), ("candidates", candidates)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return written(folder, TABLES, HashedTextEmbedder(), ConstantEmbedder())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("clips"), CLIPS, RandomEmbedder())


def written(folder: Path, text: str, *embedders: Embedder) -> Path:
    task = parse_task(text, folder=folder)
    held = [results.write(evaluate(e, task, store=folder / "store"), folder / "results") for e in embedders]
    return write_browser(open_results(held, task), folder / "report").parent


def opened(open_page: Any, folder: Path, fragment: str = "", **how: Any) -> Any:
    page = open_page(folder, f"index.html{fragment}", **how)
    page.on("dialog", lambda dialog: open_page.wrong.append(f"a dialog: {dialog.message}"))
    expect(page.locator("body[data-ready]")).to_be_visible()
    return page


def finds(page: Any, number: int) -> None:
    """Waits until the page says that so many queries pass the filters."""
    said = f"{QUERIES} queries" if number == QUERIES else f"{number} of {QUERIES}"
    expect(page.locator("#found")).to_have_text(said)


def reads(page: Any, query: str) -> None:
    """Waits until the page shows the query of this id."""
    expect(page.locator("#query .head .mono")).to_have_text(f"id {query}")


@pytest.mark.parametrize("over", ["file", "http"])
def test_filters_keep_as_many_as_they_say(open_page: Any, tables: Path, over: str) -> None:
    page = opened(open_page, tables, over=over)
    finds(page, QUERIES)
    for name in ("[data-versus]", "[data-filter]"):
        for button in page.locator(f"{name}:not(:disabled)").all():
            number = int(button.locator("b").inner_text())
            button.click()
            finds(page, number)
            expect(page.locator("#rows a")).to_have_count(min(50, number))
            button.click()
            finds(page, QUERIES)
    page.select_option("[data-slice='0']", "even")
    finds(page, QUERIES // 2)
    expect(page.locator(".tag")).to_have_text(["kind: even"])
    page.click("[data-side='1'][data-filter=ties]")
    finds(page, QUERIES // 2)
    page.click("#clear")
    finds(page, QUERIES)


def test_a_view_is_in_the_address(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables)
    page.select_option("[data-slice='0']", "odd")
    page.select_option("#order", "worst")
    page.fill("#search", "of the table")
    page.keyboard.press("Enter")  # goes on to what is found, which is not waited for
    expect(page.locator("#rows a").first).to_be_focused()
    finds(page, 58)
    page.keyboard.press("j")
    second = page.locator("#rows a").nth(1)
    expect(second).to_have_attribute("aria-current", "true")
    here = second.get_attribute("href").removeprefix("#query=")
    reads(page, here)
    again = opened(open_page, tables, page.evaluate("location.hash"))
    finds(again, 58)
    reads(again, here)
    assert again.input_value("#order") == "worst"


def test_search_finds_texts_ids_and_says_when_nothing_is_there(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables)
    for sought, number, first in (
        ("ROW 77", 1, "q77"),
        ("c9", 0, None),
        ("q119", 1, "q119"),
        ("script alert", 1, "q0"),
    ):
        page.fill("#search", sought)
        shown = "No query passes these filters." if first is None else f"id {first}"
        expect(page.locator(f"#query >> text='{shown}'")).to_be_visible()
        finds(page, number)
    page.fill("#search", "")
    finds(page, QUERIES)


def test_no_filter_is_taken_before_the_queries_are_there(open_page: Any, tables: Path) -> None:
    page = open_page(tables, over="http", hold="**/data/index-0.js")
    expect(page.locator("#search")).to_be_disabled()
    eventually(page, lambda: len(open_page.held), 1)
    open_page.release()
    page.fill("#search", "row 77")
    finds(page, 1)


def test_pieces_are_loaded_as_they_are_needed(open_page: Any, tables: Path) -> None:
    asked: list[str] = []
    page = opened(open_page, tables)
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
    held = page.evaluate("[...pieces.held.keys()]")
    assert held == ["index-0", "queries-0"]
    page.click("#on")
    reads(page, "q50")
    expect(page.locator("#span")).to_have_text("51–100")
    eventually(page, lambda: asked, ["queries-1.js"])
    page.keyboard.press("k")
    reads(page, "q49")
    expect(page.locator("#span")).to_have_text("1–50")
    page.keyboard.press("j")
    page.keyboard.press("]")
    reads(page, "q100")
    expect(page.locator("#on")).to_be_disabled()
    expect(page.locator("#span")).to_have_text("101–120")
    eventually(page, lambda: asked, ["queries-1.js", "queries-2.js"])


def test_two_results_stand_side_by_side(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables, "#query=q70")
    sides = page.locator(".sides.two > section")
    assert sides.nth(0).bounding_box()["y"] == sides.nth(1).bounding_box()["y"]
    assert "Found by hashed-text" in sides.nth(0).inner_text() and "Found by constant" in sides.nth(1).inner_text()
    ranks = page.text_content(".positives .ranks")
    assert "B Rank 1–120 tied, 60.5 on average".replace(" ", "") in ranks.replace(" ", "")
    assert sides.nth(1).locator(".rank").all_text_contents() == ["1+"] * 10
    counts = [int(text) for text in page.locator("[data-versus] b").all_text_contents()]
    assert sum(counts) == QUERIES
    page.select_option("#order", "moved")
    first = page.evaluate(
        "view.found.map((n) => Math.abs(view.index.sides[0].values[n] - view.index.sides[1].values[n]))"
    )
    assert first == sorted(first, reverse=True)


def test_text_from_data_is_shown_as_text(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables)
    assert page.text_content("h1") == "<b>Tables</b>"
    for n, text in enumerate(NASTY[:4]):
        page.click(f"#rows li:nth-child({n + 1}) a")
        reads(page, f"q{n}")
        assert page.text_content(".asked .text") == text
    assert page.locator("#detail script, #detail img").count() == 0
    page.evaluate("location.hash = '#query=q2'")
    reads(page, "q2")
    expect(page.locator(".asked .text")).to_have_css("direction", "rtl")


def test_the_page_may_not_ask_anyone_for_anything(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables)
    refused = page.evaluate(
        """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:1/picture.png" }));
            setTimeout(() => done("let through"), 5000);
        })"""
    )
    assert refused == "img-src"
    # What the browser has blocked it also says; nothing else went wrong.
    assert all("http://127.0.0.1:1/picture.png" in said for said in open_page.wrong)
    open_page.wrong.clear()


def test_the_bar_is_cut_by_how_many_queries_have_an_outcome(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables)
    for bar in page.locator(".bar").all():
        shares = bar.locator("span").evaluate_all("of => of.map((each) => [+each.dataset.count, each.offsetWidth])")
        counts, widths = zip(*shares, strict=True)
        assert sum(counts) == QUERIES
        for count, width in shares:
            assert width == pytest.approx(sum(widths) * count / QUERIES, abs=2)


def test_a_long_text_is_cut_until_it_is_asked_for(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables, "#query=q4")
    shown = page.locator(".asked .text")
    assert len(shown.text_content()) == 601
    page.click(".asked >> text=Show all 10,000 characters")
    expect(page.locator(".asked >> text=Show less")).to_be_visible()
    assert shown.text_content() == NASTY[4]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_clip_plays_and_gives_way_to_its_frames_again(open_page: Any, clips: Path) -> None:
    page = opened(open_page, clips)
    hit = page.locator(".hit").first
    expect(hit.locator(".strip span")).to_have_count(8)
    hit.get_by_text("Play").click()
    page.wait_for_function("() => document.querySelector('video')?.currentTime > 0.1")
    assert page.evaluate("document.querySelector('video').videoWidth") > 200
    hit.get_by_text("Frames").click()
    expect(page.locator("video")).to_have_count(0)
    expect(hit.locator(".strip")).to_be_visible()


def test_the_keyboard_moves_through_queries_with_focus_in_sight(open_page: Any, tables: Path) -> None:
    page = opened(open_page, tables)
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_focused()
    for key, row in (("j", 1), ("j", 2), ("k", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
        page.keyboard.press(key)
        reads(page, f"q{row}")
        expect(page.locator("#rows :focus")).to_have_attribute("aria-current", "true")
        expect(page.locator("#rows :focus")).to_have_css("outline-style", "solid")
    page.keyboard.press("/")
    page.keyboard.type("jk")  # letters of a search are no commands
    expect(page.locator("#search")).to_have_value("jk")


def test_a_phone_shows_the_list_and_then_the_query(open_page: Any, tables: Path, clips: Path) -> None:
    def shows(one: str, other: str) -> None:
        expect(page.locator(one)).to_be_visible()
        expect(page.locator(other)).to_be_hidden()

    page = opened(open_page, tables, size=PHONE)
    shows("#rows", "#query")
    page.tap("#rows li:nth-child(3) a")
    reads(page, "q2")
    shows("#query", "#rows")
    page.tap("#next")
    reads(page, "q3")
    page.tap("#all")
    shows("#rows", "#query")
    for folder in (tables, clips):
        for fragment in ("", "#query=q4" if folder is tables else "#query=2"):
            narrow = opened(open_page, folder, fragment, size=PHONE)
            assert narrow.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    open_page: Any, accessible: Callable[[Any], None], tables: Path, clips: Path, scheme: str
) -> None:
    for folder, fragment, size in (
        (tables, "#side1=ties&query=q4", (1280, 900)),
        (tables, "", PHONE),
        (tables, "#query=q2", PHONE),
        (clips, "", (1280, 900)),
        (tables, "#search=nowhere", (1280, 900)),
    ):
        page = opened(open_page, folder, fragment, over="http", size=size, scheme=scheme)
        accessible(page)
    page = opened(open_page, clips, over="http", scheme=scheme)
    page.locator(".play").first.click()
    expect(page.locator("video")).to_be_visible()
    accessible(page)
