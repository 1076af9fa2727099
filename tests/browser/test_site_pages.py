"""The site in a browser: everything that a reader can do on it, from a file and from a server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually, expect

from unite_bench.embedders.baselines import ConstantEmbedder, RandomEmbedder
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.evaluation import evaluate
from unite_bench.report.site import write_site
from unite_bench.results import committed_root, paths, read, write
from unite_bench.spec.reader import read_task

pytestmark = pytest.mark.browser

PHONE = (390, 844)
VIDEO_TASK = "tasks/animation-t2v-1.html"
KINDS_OF_PAGE = (
    "index.html",
    "index.html#by=tasks&intervals=1",
    "tasks.html",
    VIDEO_TASK,
    "tasks/emoji-edit-it2i-1.html",
    "embedders/random.html",
    "compare.html#a=constant&b=random",
)
STRANGE = {
    "markup": "<script>document.title = 'broken'</script><img src=x onerror=\"document.title = 'broken'\">",
    "right to left": "\u202eשלום עולם مرحبا",
    "emoji": "👩‍🚀🏳️‍🌈 {{ 7 * 7 }} ${7} </script>",
    "long": "word " * 2000,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed results as a site."""
    out = tmp_path_factory.mktemp("committed") / "site"
    write_site([(path, read(path)) for path in paths([committed_root()])], out, examples=1)
    return out


def drawn(page: Any) -> Any:
    """The page, once its scripts have drawn what they draw."""
    address = page.url.partition("#")[0]
    table = {"index.html": "#board", "compare.html": "#comparison"}.get(address.rpartition("/")[2])
    if table is not None:
        expect(page.locator(f"{table} tbody td").first).to_be_visible()
    expect(page.locator("fieldset:disabled")).to_have_count(0)
    return page


def columns(page: Any) -> list[str]:
    return list(page.locator("#board thead button").all_inner_texts())[1:]


def names(page: Any) -> list[str]:
    return list(page.locator("#board tbody tr:visible th").all_inner_texts())


def values(page: Any, at: int) -> list[float]:
    """The numbers of a column above the rule, from the top."""
    cells = page.locator(f"#board tbody:not(.below) tr:visible td:nth-child({at + 2})").all_inner_texts()
    return [float(text.rstrip("†?‡")) for text in cells if text not in ("n/a", "–")]


def test_sorting_puts_the_largest_first_then_the_smallest(open_page: Any, site: Path) -> None:
    page = open_page(site, "index.html#suite=embedded-quartets-composition&by=tasks")
    heading = page.locator("#board thead th").nth(3)
    heading.locator("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    down = values(page, 2)
    assert len(set(down)) > 2
    assert down == sorted(down, reverse=True)
    heading.locator("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert values(page, 2) == sorted(down)
    page.reload()
    assert values(drawn(page), 2) == sorted(down)


def test_filters_choose_columns_and_rows(open_page: Any, site: Path) -> None:
    page = open_page(site)
    whole = columns(page)
    page.select_option("[name=granularity]", "fine")
    assert [name for name in whole if name == "mean" or name.startswith("fine")] == columns(page)
    page.select_option("[name=granularity]", "")
    page.select_option("[name=modality]", "video")
    shown = [
        name for name in whole if name == "mean" or "V" in name or name.endswith("any")
    ]  # of any modality, video too
    assert shown == columns(page)
    page.select_option("[name=modality]", "")
    everyone = names(page)
    page.fill("[name=q]", "RAN")
    assert names(page) == ["random"] != everyone
    page.fill("[name=q]", "")
    page.fill("[name=since]", "2100-01-01")
    assert names(page) == []
    page.fill("[name=since]", "")
    dims = page.evaluate("Object.fromEntries(arrived.get('board').embedders.map((of) => [of.name, of.dim]))")
    page.select_option("[name=dim]", str(dims["random"]))
    assert names(page) == [name for name in everyone if dims[name] <= dims["random"]] != everyone
    page.select_option("[name=dim]", "")
    page.select_option("[name=size]", "1e9")
    sizes = page.evaluate("Object.fromEntries(arrived.get('board').embedders.map((of) => [of.name, of.size]))")
    told = [name for name in everyone if sizes[name] is not None]
    assert names(page) == told != everyone and "reference:nano" in told, "an unknown size is never shown"
    page.click("button[type=reset]")
    assert (columns(page), names(page)) == (whole, everyone)


def test_the_choice_of_suite_and_columns_stays_in_the_address(open_page: Any, site: Path) -> None:
    page = open_page(site)
    page.select_option("[name=suite]", "embedded-scenes")
    page.click("summary")
    page.uncheck("#columns input[value=mean]")
    page.uncheck("#columns input[value='coarse T→I']")
    kept = columns(page)
    assert "mean" not in kept
    assert "coarse T→I" not in kept
    assert kept
    page.reload()
    assert columns(drawn(page)) == kept
    assert page.input_value("[name=suite]") == "embedded-scenes"
    again = open_page(site, "index.html" + page.evaluate("location.hash"), over="http")
    assert columns(drawn(again)) == kept


def test_rows_below_the_rule_stay_below_and_are_never_bold(open_page: Any, site: Path) -> None:
    page = open_page(site)
    page.locator("#board thead button").nth(1).click()
    expect(page.locator("#board thead th").nth(1)).to_have_attribute("aria-sort", "ascending")
    assert "oracle" in page.locator("#board tbody.below th").all_inner_texts()
    assert page.locator("#board tbody.below .place1").count() == 0
    assert page.locator("#board .place1").count() > 0


def test_a_wide_board_is_filled_as_it_is_scrolled(open_page: Any, site: Path) -> None:
    page = open_page(site, "index.html#suite=embedded&by=tasks&q=oracle")
    asked = len(columns(page))
    assert asked > 48
    row = page.locator("#board tbody tr:visible")
    assert row.locator("td:not([colspan])").count() < asked
    page.locator(".scroll").evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    expect(row.locator("td").last).to_have_text("100.0")


@pytest.mark.parametrize("over", ["file", "http"])
def test_from_the_leaderboard_to_a_task_an_embedder_and_a_record(open_page: Any, site: Path, over: str) -> None:
    page = open_page(site, "index.html#by=tasks", over=over)
    page.click("#board thead a >> nth=0")
    expect(page.locator("h2", has_text="Ranking")).to_be_visible()
    page.locator(".ranking tbody a", has_text="random").click()
    expect(page.locator("h1")).to_have_text("random")
    page.click("[data-record] >> nth=0")
    expect(page.locator("dialog[open]")).to_be_visible()
    record = json.loads(page.inner_text("dialog pre"))
    assert record["embedder"]["name"] == "random"
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    page.wait_for_load_state()
    assert page.locator(".whisker").count() > 10


def test_a_clip_plays(open_page: Any, site: Path) -> None:
    for address in (VIDEO_TASK, "tasks/scenes-t2v-1.html"):
        page = open_page(site, address)
        page.locator("video").first.evaluate("video => video.play()")
        page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
        assert page.locator("video").first.evaluate("video => video.videoWidth") > 100


def test_two_embedders_are_compared_both_ways_round(open_page: Any, site: Path) -> None:
    page = open_page(site, "compare.html#a=constant&b=random")

    def differences() -> list[float]:
        return sorted(
            map(float, drawn(page).locator("#comparison table").last.locator("td:nth-child(4)").all_inner_texts())
        )

    first = differences()
    page.click("#swap")
    eventually(page, differences, sorted(-value for value in first))
    assert page.evaluate("location.hash").startswith("#a=random")
    suites = page.locator("#comparison table").first.locator("tbody tr").count()
    assert page.locator("#comparison .forest").count() == len(first) + suites
    page.select_option("[name=b]", "random")
    expect(page.locator("#count")).to_contain_text("different")


@pytest.mark.parametrize(
    ("address", "script", "field"), [("index.html", "board.js", "[name=q]"), ("compare.html", "compare.js", "[name=b]")]
)
def test_no_choice_is_taken_before_the_page_can_act_on_it(
    open_page: Any, site: Path, address: str, script: str, field: str
) -> None:
    page = open_page(site, address, over="http", hold=f"**/assets/{script}")
    expect(page.locator(field)).to_be_disabled()
    eventually(page, lambda: len(open_page.held), 1)
    open_page.release()
    expect(page.locator(field)).to_be_enabled()


def test_a_late_comparison_does_not_replace_the_one_asked_for_since(open_page: Any, site: Path) -> None:
    page = open_page(site, "compare.html#a=random&b=random", over="http", hold="**/data/pairs/*.js")
    page.select_option("[name=b]", "constant")
    eventually(page, lambda: len(open_page.held), 1)
    page.select_option("[name=b]", "random")
    expect(page.locator("#count")).to_contain_text("different")
    open_page.release()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#count")).to_contain_text("different")


def test_no_record_can_be_asked_for_before_the_page_can_show_it(open_page: Any, site: Path) -> None:
    page = open_page(site, "embedders/random.html", over="http", hold="**/assets/records.js")
    eventually(page, lambda: len(open_page.held), 1)
    assert page.locator("[data-record]").count() == 0
    open_page.release()
    page.click("[data-record] >> nth=0")
    expect(page.locator("dialog[open]")).to_be_visible()
    page.click("dialog button")
    expect(page.locator("dialog")).to_be_hidden()


def test_everything_is_reached_by_keyboard(open_page: Any, site: Path) -> None:
    page = open_page(site, "index.html#intervals=1")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    assert page.evaluate("location.hash") == "#intervals=1", "skipping changes what is shown"
    page.focus("#board thead button >> nth=1")
    page.keyboard.press("Enter")
    expect(page.locator("#board thead th").nth(1)).to_have_attribute("aria-sort", "ascending")
    page.focus(".scroll")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.scroll').scrollLeft > 0")
    page.focus("summary")
    page.keyboard.press("Enter")
    page.focus("#columns input >> nth=0")
    page.keyboard.press("Space")
    eventually(page, lambda: "mean" in columns(page), False)
    expect(page.locator("#columns input[value=mean]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#columns")).to_be_hidden()


@pytest.mark.parametrize("address", KINDS_OF_PAGE)
def test_no_page_is_wider_than_a_phone(open_page: Any, site: Path, address: str) -> None:
    page = drawn(open_page(site, address, size=PHONE))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", KINDS_OF_PAGE)
def test_every_kind_of_page_is_accessible(
    open_page: Any, accessible: Callable[[Any], None], site: Path, address: str, scheme: str
) -> None:
    accessible(drawn(open_page(site, address, scheme=scheme)))


def test_the_record_dialog_and_the_choice_of_columns_are_accessible(
    open_page: Any, accessible: Callable[[Any], None], site: Path
) -> None:
    page = open_page(site, "embedders/random.html")
    page.click("[data-record] >> nth=0")
    expect(page.locator("dialog[open]")).to_be_visible()
    accessible(page)
    page = drawn(open_page(site))
    page.click("summary")
    expect(page.locator("#columns")).to_be_visible()
    accessible(page)


def test_colours_follow_the_system_or_the_switch(open_page: Any, site: Path) -> None:
    light, dark = re.compile(r"^rgb\(2\d\d, "), re.compile(r"^rgb\([1-5]?\d, ")

    def shows(page: Any, colour: re.Pattern[str]) -> None:
        expect(page.locator("body")).to_have_css("background-color", colour)

    shows(open_page(site), light)
    page = open_page(site, scheme="dark")
    shows(page, dark)
    page.select_option("#theme", "light")
    shows(page, light)
    page.reload()
    shows(page, light)


def test_text_from_data_appears_as_text(open_page: Any, tmp_path: Path) -> None:
    rows = [{"id": name, "q": text, "c": f"{text} {name}"} for name, text in STRANGE.items()]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "strange.yaml").write_text(
        "name: strange\nversion: 1\ntitle: \"<b>strange</b> & 'texts'\"\ngranularity: coarse\n"
        "source: {kind: files, path: rows.jsonl}\nqueries: {id: id, modality: text, text: q}\n"
        "candidates: {id: id, modality: text, text: c}\nqrels: by-row\nmetrics: [hit@1]\nprimary: hit@1\n"
        'slices: [id]\nnotes: "<i>a note</i>"\n'
    )
    task = read_task(tmp_path / "strange.yaml")
    embedders = [HashedTextEmbedder(), RandomEmbedder(), ConstantEmbedder()]
    found = [(write(result, tmp_path / "results"), result) for result in (evaluate(e, task) for e in embedders)]
    site = tmp_path / "site"
    write_site(found, site, tasks=[str(tmp_path / "strange.yaml")], examples=4)

    page = open_page(site, "tasks/strange-1.html")
    assert page.inner_text("h1") == "<b>strange</b> & 'texts'"
    shown = page.locator(".item.query .text").all_text_contents()
    for text in STRANGE.values():
        assert any(text.strip() in one for one in shown)
    assert page.title() == "<b>strange</b> & 'texts' · unite-bench"
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.click(".item.query details summary")
    expect(page.locator(".item.query details p")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page = open_page(site, "index.html#by=tasks")
    expect(page.locator("#board thead")).to_contain_text("<b>strange</b> & 'texts'")
    page = open_page(site, "compare.html")
    expect(page.locator("#comparison")).to_contain_text("<b>strange</b> & 'texts'")
