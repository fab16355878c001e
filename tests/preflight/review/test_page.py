"""The page in a real browser: by keyboard and by mouse, in light and dark, whatever the data holds."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from preflight.data.label import IGNORE
from preflight.review import record
from tests.browser import CONTRAST

CTRL, ESCAPE, ENTER, LEFT, RIGHT, TAB = "\ue009", "\ue00c", "\ue007", "\ue012", "\ue014", "\ue004"

LONG = "Without the glue the shelf would come down with everything that stands on it. " * 30
ROWS = {
    "short": [("user", "Is 91 prime?"), ("assistant", "No: 7 times 13.")],
    "long": [("system", "Be patient."), *[("user", LONG), ("assistant", LONG)] * 6],
    "hebrew": [("user", "האם 91 ראשוני?"), ("assistant", "לא: 7 כפול 13.")],
    "code": [
        ("user", "Show me."),
        ("assistant", "So:\n\n```python\nfor n in range(3):\n    print(n)\n```\n\nThat is all."),
    ],
    "hostile": [
        ("user", "</textarea><script>document.title = 'run'</script><img src=x onerror=document.title='run'>"),
        ("assistant", "<style>* { display: none }</style> \u202e" + "unbroken" * 60),
    ],
}


@pytest.fixture
def desk(project: Any, sit: Callable[..., Any]) -> Any:
    """Five rows, one of each kind; `long` is cut."""
    rows = [{"messages": [{"role": role, "content": said} for role, said in row]} for row in ROWS.values()]
    project.rows(rows)
    return sit()


def place_of(desk: Any, kind: str) -> int:
    return desk.order.index(list(ROWS).index(kind)) + 1


@pytest.fixture
def page(driver: Any, desk: Any, serve: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Opens a page of the desk; afterwards only the desk itself may have been asked, and nothing complained."""
    url = serve(desk).server.url

    def opened(path: Any = "", width: int = 1000, scheme: str = "light", scripts: bool = True) -> Any:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        driver.get(f"{url}{path}")
        return driver

    driver.get("about:blank")
    for log in ("browser", "performance"):
        driver.get_log(log)
    yield opened
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    web = [address for address in asked if address.startswith(("http", "ws"))]  # and not the browser's own start page
    assert web
    assert [address for address in web if not address.startswith(url)] == []
    assert driver.get_log("browser") == []


def press(browser: Any, keys: str) -> None:
    browser.switch_to.active_element.send_keys(keys)


def soon_at(browser: Any, title: str) -> None:
    """Wait for the page whose title starts so."""
    end = time.monotonic() + 10
    while not browser.title.startswith(title):
        assert time.monotonic() < end, browser.title
        time.sleep(0.02)


def said_of(desk: Any) -> dict[int, tuple[str | None, str]]:
    """What the record says about each place."""
    kept = record.load(desk.path)
    return {desk.order.index(said.row) + 1: (said.verdict, said.comment) for _, said in kept.said()} if kept else {}


def test_all_of_a_review_by_keyboard(page, desk):
    browser = page()
    soon_at(browser, "1 of 5")
    press(browser, "a")
    soon_at(browser, "2 of 5")
    assert said_of(desk) == {1: ("accept", "")}

    press(browser, "c")
    press(browser, "a rather rude answer")
    assert browser.switch_to.active_element.get_attribute("value") == "a rather rude answer"
    press(browser, ESCAPE)
    press(browser, "r")
    soon_at(browser, "3 of 5")
    assert said_of(desk)[2] == ("reject", "a rather rude answer")

    press(browser, LEFT)
    soon_at(browser, "2 of 5")
    assert browser.find_element("css selector", "button.reject").get_attribute("aria-pressed") == "true"
    press(browser, "A")  # with the caps lock on; goes on where nothing was said yet
    soon_at(browser, "3 of 5")
    assert said_of(desk)[2] == ("accept", "a rather rude answer")

    press(browser, "c")
    press(browser, "what is this?" + CTRL + ENTER)
    time.sleep(0.3)
    assert said_of(desk)[3] == (None, "what is this?")
    assert browser.find_element("tag name", "textarea").get_attribute("value") == "what is this?"
    press(browser, RIGHT)
    soon_at(browser, "4 of 5")
    press(browser, "r")
    soon_at(browser, "5 of 5")
    press(browser, "a")
    soon_at(browser, "3 of 5")
    press(browser, "a")
    soon_at(browser, "All 5 rows reviewed")

    listed = [row.text for row in browser.find_elements("css selector", ".list li")]
    assert [row.partition(" ")[2] for row in listed] == [
        "accepted by Ada: a rather rude answer",
        "accepted by Ada: what is this?",
        "rejected by Ada",
    ]
    press(browser, ENTER)  # Done has the focus
    soon_at(browser, "All 5 rows reviewed")
    assert "You can close this page" in browser.find_element("tag name", "main").text


def test_all_of_it_by_mouse_without_scripts(page, desk):
    browser = page(1, scripts=False)
    for place, button in ((1, "accept"), (2, "on"), (3, "reject"), (4, "back")):
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        soon_at(browser, f"{place} of 5")
        browser.find_element("css selector", f"button[value={button}]").click()
    soon_at(browser, "3 of 5")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    assert said_of(desk) == {1: ("accept", ""), 3: ("reject", "")}
    assert [bar.get_attribute("value") for bar in browser.find_elements("tag name", "progress")] == ["2"]


@pytest.mark.parametrize(
    "key, code, extra, title",
    [
        pytest.param("ф", "KeyA", {}, "2 of 5", id="a Russian keyboard"),
        pytest.param("ש", "KeyA", {}, "2 of 5", id="a Hebrew keyboard"),
        pytest.param("q", "KeyA", {}, "1 of 5", id="a French keyboard has a elsewhere"),
        pytest.param("a", "KeyQ", {}, "2 of 5", id="namely there"),
        pytest.param("a", "KeyA", {"repeat": True}, "1 of 5", id="a key that is held down"),
        pytest.param("a", "KeyA", {"ctrlKey": True}, "1 of 5", id="select all"),
        pytest.param("r", "KeyR", {"metaKey": True}, "1 of 5", id="reload"),
        pytest.param("ArrowLeft", "ArrowLeft", {"altKey": True}, "1 of 5", id="the browser's own way back"),
    ],
)
def test_keys_mean_one_thing(page, key, code, extra, title):
    browser = page(1)
    event = {"key": key, "code": code, "bubbles": True, "cancelable": True, **extra}
    browser.execute_script("document.body.dispatchEvent(new KeyboardEvent('keydown', arguments[0]))", event)
    time.sleep(0.3)

    soon_at(browser, title)


def test_a_comment_that_is_not_saved_holds_the_page(page):
    browser = page(1)
    leave = "const leaving = new Event('beforeunload', {cancelable: true}); dispatchEvent(leaving); "
    leave += "return leaving.defaultPrevented"
    assert browser.execute_script(leave) is False
    browser.find_element("tag name", "textarea").send_keys("hm")
    assert browser.execute_script(leave) is True
    browser.find_element("css selector", "button[value=comment]").click()
    time.sleep(0.3)
    assert browser.execute_script(leave) is False


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_underlined_is_what_the_labels_hold(page, desk, reading, kind):
    browser = page(place_of(desk, kind))
    marks = "return [...document.querySelectorAll('main .turn mark')].map((mark) => mark.textContent).join('')"

    labels = desk.items[list(ROWS).index(kind)].prepared["labels"]
    wanted = reading.backend.decode([token for token in labels if token != IGNORE], skip_special_tokens=False)
    assert browser.execute_script(marks) == wanted.replace("\u202e", "⟨U+202E⟩")
    assert bool(browser.find_elements("css selector", "main del")) == (kind == "long")


def test_right_to_left_text_starts_at_the_right(page, desk):
    browser = page(place_of(desk, "hebrew"))
    space = """
        const words = document.querySelector('.user .words'), range = document.createRange();
        range.selectNodeContents(words.firstElementChild);
        return words.getBoundingClientRect().right - range.getBoundingClientRect().right;
    """
    assert browser.execute_script(space) < 2


def test_code_keeps_its_spaces_and_its_width(page, desk):
    browser = page(place_of(desk, "code"))
    block = browser.find_element("css selector", ".code")

    assert "\n    print(n)" in block.get_attribute("textContent")
    assert "monospace" in block.value_of_css_property("font-family")
    assert block.value_of_css_property("white-space").startswith(
        "pre-wrap"
    ) or "preserve" in block.value_of_css_property("white-space-collapse")


def test_nothing_of_the_data_runs(page, desk):
    browser = page(place_of(desk, "hostile"))

    assert browser.title != "run"
    assert browser.execute_script("return document.scripts.length + document.images.length") == 1
    assert "<script>document.title = 'run'</script>" in browser.find_element("css selector", ".user").text


@pytest.mark.parametrize("kind", ["long", "hostile", "code"])
@pytest.mark.parametrize("width", [320, 640, 1280])
def test_nothing_runs_out_of_the_window(page, desk, kind, width):
    browser = page(place_of(desk, kind), width=width)
    browser.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")

    assert browser.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert browser.find_element("css selector", "button.accept").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(page, desk, scheme):
    desk.say(desk.order[place_of(desk, "code") - 1], "accept", "good")
    desk.say(desk.order[place_of(desk, "long") - 1], "reject", "too long")
    for path in (place_of(desk, "code"), place_of(desk, "long"), place_of(desk, "hostile"), "summary"):
        browser = page(path, scheme=scheme)
        browser.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        seen, poor = browser.execute_script(CONTRAST)
        assert seen > 6
        assert poor == []
    assert browser.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")


def test_the_focus_can_be_seen_and_reaches_everything(page, desk):
    browser = page(place_of(desk, "long"))
    reached = []
    for _ in range(8):
        browser.switch_to.active_element.send_keys(TAB)
        element = browser.switch_to.active_element
        assert element.value_of_css_property("outline-width") == "3px"
        box = browser.execute_script(
            "const b = arguments[0].getBoundingClientRect(); return [b.top, b.bottom]", element
        )
        assert 0 <= box[0] < box[1] <= 800
        reached.append(element.text or element.get_attribute("aria-label"))
    assert [name.partition("\n")[0] for name in reached] == [
        "Summary",
        "The row as it stands in train.jsonl:2",
        "Comment",
        "Accepta",
        "Rejectr",
        "Save comment",
        "Back←",
        "Next→",
    ]
