"""Goal: a person can use the page: type a prompt, watch the picture emerge, see it, find it again; from the keyboard,
and with every refusal in words.

Method: the system's Chromium, driven by Playwright, against a real server. With BRICKWORK_SCREENSHOT set to a path, the
page is photographed there.
"""

import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from support.server import ServerProcess

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed (apt-get install chromium)", allow_module_level=True)

FLAGS = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
PATIENCE_MS = 60_000
PHOTOGRAPH = os.environ.get("BRICKWORK_SCREENSHOT")
LONG = "60" if PHOTOGRAPH else "1000"
"""Steps that take long enough for a preview: the photograph is of the real starter, which is slower."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def new_page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    return page


@pytest.fixture(scope="module")
def browser_page(browser: Browser) -> Page:
    return new_page(browser)


@pytest.fixture(scope="module")
def locked(served_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that wants the key `right`."""
    config = tmp_path_factory.mktemp("locked") / "server.toml"
    config.write_text(f'[[tenants]]\nname = "a"\nkey_sha256 = "{sha256(b"right").hexdigest()}"\n')
    with ServerProcess(served_model, config.parent / "state", "--executors", "1", "--config", str(config)) as server:
        yield server


@pytest.fixture
def page(browser_page: Page, server: ServerProcess) -> Iterator[Page]:
    """The page, freshly opened; it must ask nobody but the server, and no script may fail."""
    errors: list[str] = []
    requests: list[Request] = []
    browser_page.on("pageerror", lambda error: errors.append(str(error)))
    browser_page.on("request", lambda request: requests.append(request))
    browser_page.goto(server.url)
    browser_page.wait_for_selector("#in-prompt")
    yield browser_page
    assert errors == []
    strangers = [request.url for request in requests if not request.url.startswith((server.url, "data:", "blob:"))]
    assert strangers == []


def test_a_prompt_becomes_a_picture(page: Page) -> None:
    page.fill("#in-prompt", "a red circle above a blue square")
    page.fill("#in-steps", LONG)
    page.click("#draw")
    page.wait_for_selector("#frame img.preview")
    page.wait_for_selector("#frame img[src^='/v1/artifacts/']")
    expect(page.locator("#frame img")).to_have_js_property("naturalWidth", 64)  # it may still be on its way
    expect(page.locator("#status")).to_contain_text("succeeded after")
    expect(page.locator("#recent img").first).to_be_visible()
    expect(page.locator("#executors tr")).to_have_count(2)
    expect(page.locator("#executors")).to_contain_text("vae")
    if PHOTOGRAPH:
        page.screenshot(path=PHOTOGRAPH, full_page=True)


def test_from_the_keyboard(page: Page) -> None:
    """The prompt has the focus; Enter draws; Tab reaches the button."""
    assert page.evaluate("document.activeElement.id") == "in-prompt"
    page.keyboard.type("a green square")
    page.keyboard.press("Enter")
    page.wait_for_selector("#frame img[src^='/v1/artifacts/']")
    assert page.get_attribute("#frame img", "alt") == "a green square"
    reached = set()
    page.focus("#in-prompt")
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"workflow", "in-steps", "in-seed", "draw"} <= reached


def test_refusals_are_words(page: Page) -> None:
    page.fill("#in-prompt", "a rde circle")
    page.click("#draw")
    expect(page.get_by_role("alert")).to_contain_text("did you mean 'red'")
    page.fill("#in-prompt", "a red circle")
    page.click("#draw")
    expect(page.locator("#error")).to_be_empty()


def test_cancel(page: Page) -> None:
    page.fill("#in-prompt", "a red circle")
    page.fill("#in-steps", "1000")
    page.click("#draw")
    page.wait_for_selector("#frame img.preview")
    page.click("#cancel")
    expect(page.locator("#status")).to_contain_text("canceled")
    expect(page.locator("#cancel")).to_be_disabled()


def test_another_workflow_has_another_form(page: Page, tmp_path: Path) -> None:
    from PIL import Image

    page.fill("#in-prompt", "a blue circle")
    page.select_option("#workflow", "image-to-image")
    assert page.input_value("#in-prompt") == "a blue circle", "what was typed stays"
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    page.set_input_files("#in-image", str(tmp_path / "red.png"))
    page.click("#draw")
    page.wait_for_selector("#frame img[src^='/v1/artifacts/']")


def test_a_recent_picture_is_shown_again(page: Page) -> None:
    page.locator("#recent button:has(img)").first.click()
    page.wait_for_selector("#frame img[src^='/v1/artifacts/']")
    expect(page.locator("#status")).to_contain_text("succeeded")


def test_a_key_is_asked_for_and_kept(browser: Browser, locked: ServerProcess) -> None:
    """Refused without one and with a wrong one; with the right one everything works, also after a reload; forgotten, it
    is asked for again."""
    page, why = new_page(browser), "#key-why"
    page.goto(locked.url)
    expect(page.locator(why)).to_have_text("This server wants an API key.")
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator(why)).to_have_text("The server does not know this API key.")
    page.fill("#key", "right")
    page.keyboard.press("Enter")
    page.fill("#in-prompt", "a red circle")
    page.fill("#in-steps", LONG)
    page.click("#draw")
    page.wait_for_selector("#frame img.preview")
    page.wait_for_selector("#frame img[src^='blob:']")
    page.reload()
    expect(page.locator("#recent img").first).to_have_js_property("naturalWidth", 64)
    page.click("#change-key")
    page.click("#forget-key")
    expect(page.locator(why)).to_have_text("This server wants an API key.")
    expect(page.locator("#recent li")).to_have_count(0)
    page.close()
