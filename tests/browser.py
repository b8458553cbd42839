"""A real browser for the tests: Debian's Chromium, Chrome, or Playwright's own."""

import shutil

import pytest
from playwright.sync_api import Error, sync_playwright

WIDTH, HEIGHT = 1280, 720
PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]


def start(chromium):
    """Return a browser: one on the path, Chrome where it is usually installed, or Playwright's own."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    for options in [{"executable_path": program}] if program else [{"channel": "chrome"}, {}]:
        try:
            return chromium.launch(args=["--no-sandbox"], **options)
        except Error as error:
            reason = str(error).strip().splitlines()[0]
    pytest.skip(f"no browser: install Chromium or Chrome, or run `playwright install chromium` ({reason})")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = start(playwright.chromium)
        yield browser
        browser.close()


def show(browser, path, ready, **options):
    """Open a file and wait until it is ready; what the page asks for, or complains about, is in its `noticed`."""
    page = browser.new_page(**{"viewport": {"width": WIDTH, "height": HEIGHT}, **options})
    page.noticed = []
    page.on("console", lambda message: page.noticed.append(message.text))
    page.on("pageerror", lambda error: page.noticed.append(str(error)))
    page.on("request", lambda request: page.noticed.append(request.url[:200]))
    page.goto(path.as_uri())
    page.wait_for_function(ready)
    page.noticed = [notice for notice in page.noticed if notice != path.as_uri() and not notice.startswith("data:")]
    return page
