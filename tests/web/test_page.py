"""The page in Chromium, with a real server."""

from __future__ import annotations

import base64
import io
import re
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from autodenoise.images import IntensityRange
from autodenoise.runtime import DenoiseOptions, denoise_files, load
from tests.helpers import web_images
from tests.helpers.browser import Visit, chromium, visiting
from tests.helpers.serving import QUICK, SLOW, RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Route

PIXELS = web_images.noise(60, 80)
PHOTO = web_images.encoded(PIXELS)
BROKEN = PHOTO[:2000]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser, server: RunningServer) -> Iterator[Visit]:
    with visiting(browser, server.url) as opened:
        yield opened


def select_model(visit: Visit, name: str) -> None:
    """Choose a model before adding images, when the control is still hidden."""
    visit("#model").evaluate(
        "(list, name) => { list.value = name; list.dispatchEvent(new Event('change')); }", name
    )


def denoise_quickly(visit: Visit, **files: bytes) -> None:
    """Add images, named without suffix, and wait until they are denoised."""
    select_model(visit, QUICK)
    visit.choose({f"{name}.png": content for name, content in files.items()})
    visit.states(*["done"] * len(files))


def command_line_result(
    server: RunningServer,
    folder: Path,
    name: str,
    content: bytes,
    options: DenoiseOptions,
    suffix: str = "",
) -> bytes:
    """Return the bytes that ``autodenoise denoise`` writes."""
    source = folder / name
    source.write_bytes(content)
    target = source.with_name(f"target{suffix or source.suffix}")
    target.unlink(missing_ok=True)
    assert denoise_files(load(server.folder / QUICK), [(source, target)], options).error is None
    return target.read_bytes()


def pixels(content: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(content))).astype(float)


def close(drawn: NDArray[np.int64], expected: NDArray[np.float64], max_error: float = 2) -> bool:
    """Return whether a canvas shows the expected pixels, up to rounding to 8 bits."""
    return bool(np.abs(drawn[..., : expected.shape[-1]] - expected).max() <= max_error)


def test_drop_compare_and_download(visit: Visit, server: RunningServer, tmp_path: Path) -> None:
    select_model(visit, QUICK)
    expect(visit("#work")).to_be_hidden()
    visit.transfer({"photo.png": PHOTO}, "dragenter")
    expect(visit("body")).to_have_class("empty dragging")
    visit.transfer({"photo.png": PHOTO}, "drop")
    visit.states("done")
    expect(visit("body")).to_have_class("")
    expect(visit("#facts")).to_have_text(re.compile(r"^80 . 60, PNG, 3 . 8 bits$"))
    expect(visit("#status")).to_have_text("photo.png is done.")
    visit("#zoom-full").click()
    expect(visit("#zoom")).to_have_text("100 %")

    clean = command_line_result(server, tmp_path, "photo.png", PHOTO, DenoiseOptions())
    before, after = PIXELS.astype(float), pixels(clean)
    for percent in (100, 35, 0):
        visit.strength(percent)
        blend = before + (after - before) * percent / 100
        visit.view("After")
        assert close(visit.drawn(60, 80), blend)
        visit.view("Before")
        assert close(visit.drawn(60, 80), before, max_error=0)
        visit.view("Difference")
        visit("#gain").select_option("4")
        expected = np.minimum(4 * np.abs(before - blend), 255)
        assert close(visit.drawn(60, 80), expected, max_error=8)

    visit.strength(40)
    saved = visit.download()
    assert saved.suggested_filename == "photo.denoised.png"
    options = DenoiseOptions(0.4)
    assert saved.path().read_bytes() == command_line_result(
        server, tmp_path, "photo.png", PHOTO, options
    )


def test_divider_separates_before_and_after(
    visit: Visit, server: RunningServer, tmp_path: Path
) -> None:
    denoise_quickly(visit, photo=PHOTO)
    visit("#zoom-full").click()
    before = PIXELS.astype(float)
    after = pixels(command_line_result(server, tmp_path, "photo.png", PHOTO, DenoiseOptions()))

    def divided_at(column: int) -> bool:
        expected = np.concatenate([before[:, :column], after[:, column:]], axis=1)
        return close(visit.drawn(60, 80), expected)

    divider = visit("#divider")
    expect(divider).to_have_attribute("aria-valuetext", "left 50 % before, right 50 % after")
    assert divided_at(40)
    box = divider.bounding_box()
    assert box is not None
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 4
    mouse = visit.page.mouse
    mouse.move(middle, height)
    mouse.down()
    mouse.move(middle + 20, height, steps=4)
    mouse.up()
    expect(divider).to_have_attribute("aria-valuetext", "left 75 % before, right 25 % after")
    assert divided_at(60)
    divider.press("Home")
    assert divided_at(0)
    divider.press("End")
    assert divided_at(80)


def test_transparent_preview_is_blended_like_the_file(
    visit: Visit, server: RunningServer, tmp_path: Path
) -> None:
    content = web_images.encoded(web_images.noise(50, 70, 4))
    denoise_quickly(visit, clear=content)
    visit("#zoom-full").click()
    visit.view("Difference")
    visit("#gain").select_option("1")
    visit.strength(60)
    blend = pixels(command_line_result(server, tmp_path, "clear.png", content, DenoiseOptions(0.6)))
    flattened = [image[..., :3] * image[..., 3:] / 255 for image in (pixels(content), blend)]
    assert close(visit.drawn(50, 70), np.abs(flattened[0] - flattened[1]), max_error=4)


def test_keyboard_shortcuts(visit: Visit) -> None:
    denoise_quickly(visit, photo=PHOTO)
    viewer, zoom = visit("#viewer"), visit("#zoom")
    expect(visit("#divider")).to_be_visible()
    fitted = zoom.inner_text()
    viewer.press("1")
    expect(zoom).to_have_text("100 %")
    viewer.press("+")
    expect(zoom).to_have_text("125 %")
    viewer.press("-")
    expect(zoom).to_have_text("100 %")
    viewer.press("0")
    expect(zoom).to_have_text(fitted)
    viewer.press("]")
    expect(visit("#divider")).to_have_attribute(
        "aria-valuetext", "left 55 % before, right 45 % after"
    )
    viewer.press("d")
    expect(visit.page.get_by_role("radio", name="Difference")).to_be_checked()
    viewer.press("d")
    expect(visit.page.get_by_role("radio", name="Slider")).to_be_checked()
    visit.page.keyboard.down(" ")
    expect(visit(".tag.after")).to_be_hidden()
    visit.page.keyboard.up(" ")
    expect(visit(".tag.after")).to_be_visible()
    for _ in range(20):
        viewer.press("+")
    expect(zoom).to_have_text("3200 %")
    corner = visit.drawn(40, 40)
    viewer.press("ArrowRight")
    assert not np.array_equal(corner, visit.drawn(40, 40))


def test_tab_reaches_every_control(visit: Visit) -> None:
    denoise_quickly(visit, photo=PHOTO)
    expect(visit("#divider")).to_be_visible()
    visit("#add").focus()
    focused = "document.activeElement.id || document.activeElement.className"
    focus_order = []
    for _ in range(25):
        visit.page.keyboard.press("Tab")
        focus_order.append(visit.page.evaluate(focused))
    for control in ("viewer", "divider", "strength", "model", "download", "pick", "remove"):
        assert control in focus_order


def test_wheel_zooms_and_double_click_fits(visit: Visit) -> None:
    denoise_quickly(visit, photo=PHOTO)
    visit("#zoom-full").click()
    box = visit("#viewer").bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.mouse.wheel(0, -300)
    expect(visit("#zoom")).not_to_have_text("100 %")
    visit.page.mouse.dblclick(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    fitted = visit("#zoom").inner_text()
    visit("#zoom-fit").click()
    expect(visit("#zoom")).to_have_text(fitted)


def test_several_images_have_their_own_strength_in_one_zip_file(
    visit: Visit, server: RunningServer, tmp_path: Path
) -> None:
    other = web_images.encoded(web_images.noise(40, 50, 1))
    denoise_quickly(visit, photo=PHOTO, other=other)
    expect(visit("#overall")).to_have_text("2 of 2 done")
    visit.strength(30)
    visit(".pick").nth(1).click()
    expect(visit("#name")).to_have_text("other.png")
    expect(visit("#strength-value")).to_have_text("100 %")
    saved = visit.download("#download-all")
    with zipfile.ZipFile(saved.path()) as archive:
        assert archive.namelist() == ["photo.denoised.png", "other.denoised.png"]
        for name, content, strength in (("photo", PHOTO, 0.3), ("other", other, 1)):
            expected = command_line_result(
                server, tmp_path, f"{name}.png", content, DenoiseOptions(strength)
            )
            assert archive.read(f"{name}.denoised.png") == expected
    visit.strength(55)
    visit("#strength-all").click()
    visit(".pick").nth(0).click()
    expect(visit("#strength-value")).to_have_text("55 %")
    visit.page.on("dialog", lambda dialog: dialog.accept())
    visit("#remove-all").click()
    expect(visit("#strip li")).to_have_count(0)
    expect(visit("#choose-first")).to_be_focused()


def test_download_options(visit: Visit, server: RunningServer, tmp_path: Path) -> None:
    select_model(visit, QUICK)
    content = web_images.camera_jpeg()
    visit.choose({"photo.jpg": content})
    visit.states("done")
    visit("#options summary").click()
    visit("#format").select_option(".tif")
    visit("#strip-metadata").check()
    saved = visit.download()
    assert saved.suggested_filename == "photo.denoised.tif"
    options = DenoiseOptions(strip_metadata=True)
    expected = command_line_result(server, tmp_path, "photo.jpg", content, options, ".tif")
    assert saved.path().read_bytes() == expected


def test_floats_require_an_intensity_range(
    visit: Visit, server: RunningServer, tmp_path: Path
) -> None:
    select_model(visit, QUICK)
    visit.choose({"f.tif": web_images.floats()})
    visit.states("failed")
    expect(visit("#ended-text")).to_contain_text("of unknown intensity range")
    visit("#set-range").click()
    expect(visit("#black")).to_be_focused()
    visit("#black").fill("0")
    visit("#range-one").click()
    expect(visit("#range-wrong")).to_have_text(
        "Enter both values, with white above black, or leave both empty."
    )
    visit("#white").fill("4095")
    visit("#range-one").click()
    visit.states("done")
    options = DenoiseOptions(intensity_range=IntensityRange(0, 4095))
    expected = command_line_result(server, tmp_path, "f.tif", web_images.floats(), options)
    assert visit.download().path().read_bytes() == expected


def test_invalid_files_fail_without_stopping_others(visit: Visit) -> None:
    select_model(visit, QUICK)
    visit.choose({"broken.png": BROKEN, "bomb.png": web_images.bomb(), "photo.png": PHOTO})
    visit.states("failed", "failed", "done")
    expect(visit("#overall")).to_have_text("1 of 3 done, 2 failed")
    expect(visit("#ended-text")).to_contain_text("broken.png")
    expect(visit("#download")).to_be_disabled()
    visit(".pick").nth(1).click()
    expect(visit("#ended-text")).to_contain_text("declares 60,000 x 60,000 pixels")
    visit("#remove").click()
    visit.states("failed", "done")
    expect(visit("#name")).to_have_text("photo.png")
    expect(visit("#divider")).to_be_visible()


def test_long_job_shows_progress_and_can_be_cancelled(visit: Visit, server: RunningServer) -> None:
    select_model(visit, SLOW)
    with visit.page.expect_response("**/api/jobs?*") as response:
        visit.choose({"large.png": web_images.large()})
    visit.states("working")
    expect(visit("#progress-text")).to_contain_text("Tile ")
    expect(visit("#progress-text")).to_contain_text(" left")
    expect(visit(".tag.before")).to_be_visible()
    visit("#cancel").click()
    visit.states("cancelled")
    expect(visit("#ended-title")).to_have_text("Cancelled")
    expect(visit("#retry")).to_be_focused()
    wait_until_removed(server, response.value.json()["id"])
    visit("#remove").click()
    # The worker is free again.
    denoise_quickly(visit, photo=PHOTO)


def test_changing_the_model_denoises_again(visit: Visit) -> None:
    denoise_quickly(visit, photo=PHOTO)
    visit("#zoom-full").click()
    visit.view("After")
    mild = visit.drawn(60, 80)
    visit("#about summary").click()
    expect(visit("#card")).to_contain_text("box")
    visit("#model").select_option(SLOW)
    visit.states("done")
    expect(visit(".tag.after")).to_be_visible()
    # The strong blur leaves little noise; its zero padding reaches far in.
    middle = np.s_[25:35, 35:45, :3]
    assert visit.drawn(60, 80)[middle].std() < mild[middle].std() / 2


def test_paste_adds_an_image(visit: Visit) -> None:
    select_model(visit, QUICK)
    visit.transfer({"image.png": PHOTO}, "paste")
    visit.states("done")
    expect(visit("#name")).to_have_text("pasted.png")


FOLDER = """(content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const file = (name) => ({
    name, isFile: true, isDirectory: false, file: (take) => take(new File([bytes], name)),
  });
  const folder = (name, ...inside) => ({
    name, isFile: false, isDirectory: true,
    createReader: () => ({ readEntries: (take) => take(inside.splice(0, 2)) }),
  });
  const dropped = folder(
    "holiday", file("b.png"), file("notes.txt"), file("a.PNG"), file(".hidden.png"),
    folder("more", file("c.png")),
  );
  const event = new Event("drop", { bubbles: true, cancelable: true });
  const items = [{ webkitGetAsEntry: () => dropped }];
  event.dataTransfer = { types: ["Files"], files: [], items };
  document.body.dispatchEvent(event);
}"""


def test_dropped_folder_adds_its_images(visit: Visit) -> None:
    # Scripts cannot create folders, so this is a mock of a dropped one.
    select_model(visit, QUICK)
    visit.page.evaluate(FOLDER, base64.b64encode(PHOTO).decode())
    visit.states("done", "done", "done")
    expect(visit("#strip .name")).to_have_text(["a.PNG", "b.png", "c.png"])
    expect(visit("#banner")).to_have_text(
        "Skipped 2 files in the folder: not a supported image format."
    )


def test_sample_button(visit: Visit) -> None:
    visit("#sample").click()
    visit.states("done")
    expect(visit("#name")).to_have_text("sample.jpg")


def test_page_retries_while_the_server_is_busy(visit: Visit) -> None:
    busy_once = iter([True])

    def busy(route: Route) -> None:
        if next(busy_once, False):
            body = '{"detail": "busy with 3 images; try again in a moment"}'
            route.fulfill(status=503, headers={"Retry-After": "3"}, body=body)
        else:
            route.continue_()

    visit.page.route("**/api/jobs?*", busy)
    select_model(visit, QUICK)
    visit.choose({"photo.png": PHOTO})
    expect(visit("#banner")).to_contain_text("busy with 3 images")
    visit.states("done")
    expect(visit("#banner")).to_be_empty()


def test_page_reconnects_to_the_server(visit: Visit) -> None:
    select_model(visit, QUICK)
    visit.page.route("**/api/**", lambda route: route.abort("connectionrefused"))
    visit.choose({"photo.png": PHOTO})
    expect(visit("#banner")).to_contain_text("does not answer")
    visit.page.unroute_all()
    visit.states("done")
    expect(visit("#banner")).to_be_empty()


def wait_until_removed(server: RunningServer, job: str) -> None:
    """Wait until the server has removed a job, since the page does not."""
    deadline = time.monotonic() + 30
    while server.client.get(f"/api/jobs/{job}").status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def add_and_wait(visit: Visit) -> str:
    """Denoise an image, and return the id of its job."""
    select_model(visit, QUICK)
    with visit.page.expect_response("**/api/jobs?*") as response:
        visit.choose({"photo.png": PHOTO})
    visit.states("done")
    job: str = response.value.json()["id"]
    return job


def test_removed_job_is_denoised_again(visit: Visit, server: RunningServer) -> None:
    server.client.delete(f"/api/jobs/{add_and_wait(visit)}")
    visit("#download").click()
    expect(visit("#status")).to_have_text("photo.png is done.")
    visit.states("done")
    expect(visit("#download")).to_be_enabled()
    assert visit.download().suggested_filename == "photo.denoised.png"


def test_closing_the_page_removes_its_jobs(visit: Visit, server: RunningServer) -> None:
    job = add_and_wait(visit)
    assert server.state(job)["state"] == "done"
    visit.page.goto("about:blank")
    wait_until_removed(server, job)


def test_pages_of_a_stack(visit: Visit) -> None:
    select_model(visit, QUICK)
    stack = np.stack([np.full((24, 36), value, np.uint8) for value in (10, 90, 170)])
    visit.choose({"stack.tif": web_images.tiff(stack, photometric="minisblack")})
    visit.states("done")
    visit("#zoom-full").click()
    visit.view("Before")
    expect(visit("#page-of")).to_have_text("of 3")
    for value in (10, 90, 170):
        assert (visit.drawn(24, 36)[..., 0] == value).all()
        if value < 170:
            visit("#page-on").click()
    expect(visit("#page-on")).to_be_disabled()


@pytest.mark.parametrize(("width", "density"), [(360, 2), (800, 1), (1920, 1)])
def test_page_fits_the_screen(
    browser: Browser, server: RunningServer, width: int, density: float
) -> None:
    with visiting(browser, server.url, width, 740, density) as visit:
        across = "document.documentElement.scrollWidth"
        assert visit.page.evaluate(across) == width
        denoise_quickly(visit, **{f"a-rather-long-name-of-an-image-{i}": PHOTO for i in range(4)})
        visit("#options summary").click()
        visit.view("Difference")
        assert visit.page.evaluate(across) == width
