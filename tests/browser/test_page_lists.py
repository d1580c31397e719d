"""The web page's lists and forms, driven in a browser against the real system."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.page_world import World, forgive

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


async def test_a_workflow_is_started_from_the_form_of_its_schema(world: World, complaints: list[str]) -> None:
    await world.page.goto(world.url)
    await world.page.get_by_role("link", name="Start a workflow").click()
    await world.page.get_by_role("link", name=re.compile("typed")).click()
    form = world.page.get_by_role("form")
    await expect(form.get_by_label("count")).to_have_value("3")
    await form.get_by_label("title").fill("y")
    await form.get_by_label("count").fill("many")
    await form.get_by_role("button", name="Start", exact=True).click()
    await expect(form.get_by_role("alert")).to_have_text("This has to be a whole number.")
    await expect(form.get_by_label("count")).to_be_focused()
    await form.get_by_label("count").fill("2")
    await form.get_by_label("title").fill("x")
    await form.get_by_label("Name", exact=True).fill("my album")
    await form.get_by_role("button", name="Start", exact=True).click()
    await world.ended("done")
    await expect(world.page.locator("h1")).to_have_text("my album")
    await expect(world.page.get_by_role("region", name="Data")).to_have_text(
        re.compile(r'"title": "x",\s*"count": 2')
    )


async def test_what_the_server_refuses_is_said_at_its_field(world: World, complaints: list[str]) -> None:
    await world.page.goto(f"{world.url}/workflows/nested")
    form = world.page.get_by_role("form")
    extra = form.get_by_label("extra")
    await extra.fill('{"a": "b"}')
    await form.get_by_role("button", name="Start", exact=True).click()
    await expect(form.get_by_role("alert")).to_contain_text("Expected int, got str")
    await expect(extra).to_be_focused()
    forgive(complaints, "422")
    await extra.fill("{}")
    await expect(form.get_by_role("alert")).to_have_count(0)
    await world.button("Add to sizes", form).click()
    width = form.get_by_label("width")
    await width.fill("5")
    await form.get_by_label("shape").select_option("round")
    await form.get_by_label("loud").check()
    await world.button("JSON", form).click()
    data = form.get_by_label("Data")
    await expect(data).to_have_value(re.compile(r'"width": 5'))
    await data.fill('{"sizes": ')
    await expect(form.get_by_role("alert")).to_contain_text("This is not JSON")
    await data.fill('{"sizes": [], "shape": "odd"}')
    await form.get_by_role("button", name="Start", exact=True).click()
    await expect(form.locator(".form-error")).to_contain_text("shape")
    forgive(complaints, "422")
    await world.button("Form", form).click()
    await form.get_by_label("shape").select_option("round")
    await form.get_by_label("loud").check()
    await form.get_by_role("button", name="Start", exact=True).click()
    await world.ended("done")
    shown = world.page.get_by_role("region", name="Data")
    await expect(shown).to_contain_text('"loud": true')
    await expect(shown).to_contain_text('"shape": "round"')


async def test_what_the_schema_says_is_told_before_anything_is_sent(world: World) -> None:
    await world.page.goto(f"{world.url}/workflows/named")
    form = world.page.get_by_role("form")
    label, weight = form.get_by_label("Label on the box"), form.get_by_label("weight")
    await form.get_by_label("code").fill("No")
    await weight.fill("12")
    await form.get_by_role("button", name="Start", exact=True).click()
    said = form.get_by_role("alert")
    await expect(said).to_have_text(
        ["This is needed.", "This has to be like ^[a-z]+$", "This has to be at most 9."]
    )
    await expect(label).to_be_focused()
    await label.fill("boxes and more")
    await weight.fill("9")
    await form.get_by_label("code").fill("yes")
    await expect(said).to_have_text(["This has to have at most 5 characters; it has 14."])
    await label.fill("")
    await expect(said).to_have_count(0)
    await form.get_by_role("button", name="Start", exact=True).click()
    await world.ended("done")
    await expect(world.page.get_by_role("region", name="Data")).to_contain_text('"label": ""')


async def test_data_without_a_schema_is_written_as_json(world: World) -> None:
    await world.page.goto(f"{world.url}/workflows/chain")
    form = world.page.get_by_role("form")
    await form.get_by_label("Data").fill('{"free": 1}')
    await world.button("Create only", form).click()
    await expect(world.page.locator(".instance-page")).to_have_attribute("data-status", "inactive")
    await expect(world.page.get_by_role("region", name="Data")).to_contain_text('"free": 1')
    assert world.hand.ran == []


async def test_executors_and_queues_are_shown_as_they_are(world: World) -> None:
    await world.create("progress")
    await world.page.goto(f"{world.url}/executors")
    queue = world.page.get_by_role("row", name=re.compile("^default"))
    await expect(queue).to_contain_text("1 serving")
    await expect(queue).to_contain_text("1 of")
    executor = world.page.locator("tr[data-executor]")
    await expect(executor).to_have_attribute("data-status", "serving")
    world.hand.give("work", 4)
    await expect(executor.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("^0 of"))
    await executor.get_by_role("link", name="chain").click()
    await expect(world.page.get_by_role("form")).to_be_visible()


async def test_the_keyboard_finds_opens_and_comes_back(world: World) -> None:
    for name in ("sea", "hill", "town"):
        await world.create("chain", 1, execute=False, name=name)
    await world.page.goto(world.url)
    await expect(world.page.locator(".list-row")).to_have_count(3)
    press = world.page.keyboard.press
    await press("j")
    await press("j")
    await expect(world.page.locator(".list-row", has_text="hill")).to_be_focused()
    await press("/")
    await expect(world.page.get_by_label("Name begins with")).to_be_focused()
    await world.page.keyboard.type("sea")
    await expect(world.page.locator(".list-row")).to_have_count(1)
    await press("Tab")
    await expect(world.page.locator(".list-row")).to_be_focused()
    await press("Enter")
    await expect(world.page.locator("h1")).to_have_text("sea")
    await expect(world.row("#.one")).to_be_visible()
    await press("ArrowDown")
    await expect(world.row("#.one")).to_be_focused()
    await press("ArrowDown")
    await expect(world.row("#.two")).to_be_focused()
    await press("?")
    await expect(world.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await press("Escape")
    await press("3")
    await expect(world.page.locator("h1")).to_have_text("Executors")
    await press("1")
    await expect(world.page.locator("h1")).to_have_text("Instances")


async def test_the_list_is_live_and_filtered(world: World) -> None:
    done = await world.create("chain", 1, name="holiday 1")
    await world.page.goto(world.url)
    rows = world.page.locator(".list-row .name")
    await expect(rows).to_have_text(["holiday 1"])
    moving = await world.create("progress", name="holiday 2")
    await expect(rows).to_have_text(["holiday 2", "holiday 1"])
    first = world.page.locator(".list-page li").first
    await expect(first).to_have_attribute("data-status", "working")
    world.hand.give("work", 4)
    await expect(first).to_have_attribute("data-status", "done")
    await world.page.get_by_label("Name begins with").fill("holiday 1")
    await expect(rows).to_have_text(["holiday 1"])
    await world.page.get_by_label("Name begins with").fill("")
    await world.page.get_by_label("Workflow", exact=True).select_option("progress")
    await expect(rows).to_have_text(["holiday 2"])
    await world.page.reload()
    await expect(rows).to_have_text(["holiday 2"])
    await world.button("failed").click()
    await expect(world.page.locator(".state")).to_contain_text("No instance is like that.")
    await world.page.goto(world.url)
    await world.delete(moving)
    await expect(rows).to_have_text(["holiday 1"])
    await world.page.locator(".list-row").click()
    await world.ended("done")
    assert world.page.url == f"{world.url}/i/{done}"
    await world.page.go_back()
    await expect(rows).to_have_text(["holiday 1"])


async def test_more_than_a_page_of_instances_comes_as_one_scrolls(world: World) -> None:
    for number in range(230):
        await world.create("chain", 1, execute=False, name=f"n{number}")
    await world.page.goto(world.url)
    rows = world.page.locator(".list-row")
    await expect(rows.first).to_contain_text("n229")
    await expect(world.page.locator(".list-foot")).to_contain_text("100 shown, more as you scroll")
    await rows.first.focus()
    await world.page.keyboard.press("End")
    await expect(world.page.locator(".list-foot")).to_contain_text("200 shown")
    await world.page.keyboard.press("End")
    await expect(world.page.locator(".list-foot")).to_have_text("230 instances")
    await world.page.keyboard.press("End")
    await expect(rows.last).to_be_focused()
    assert await rows.last.locator(".name").inner_text() == "n0"
    assert await rows.count() < 60


async def test_who_comes_back_to_the_list_is_where_they_were(world: World) -> None:
    for number in range(130):
        await world.create("chain", 1, execute=False, name=f"n{number}")
    await world.page.goto(world.url)
    rows = world.page.locator(".list-row")
    await rows.first.focus()
    await world.page.keyboard.press("End")
    await expect(world.page.locator(".list-foot")).to_have_text("130 instances")
    there = rows.filter(has=world.page.get_by_text("n7", exact=True))
    await world.page.keyboard.press("End")
    await there.click()
    await expect(world.page.locator("h1")).to_have_text("n7")
    await world.page.go_back()
    await expect(there).to_be_in_viewport()
    await world.page.keyboard.press("k")
    await expect(rows.filter(has=world.page.get_by_text("n8", exact=True))).to_be_focused()


async def test_an_instance_is_deleted_after_a_question(world: World) -> None:
    await world.see(await world.create("chain", 1, name="old"))
    await world.ended("done")
    await world.button("Delete the instance").click()
    await world.button("Keep it").click()
    await world.button("Delete the instance").click()
    await world.button("Delete", world.page.get_by_role("dialog")).click()
    await expect(world.page.locator(".state")).to_contain_text("Nothing here yet: start a workflow.")
    assert world.page.url == f"{world.url}/"


async def test_an_address_where_nothing_is_says_so(world: World, complaints: list[str]) -> None:
    for address in ("/nope", "/i/x/tasks"):
        response = await world.page.goto(f"{world.url}{address}")
        assert response is not None
        assert response.status == 404
        await expect(world.page.locator("h1")).to_have_text("There is no such page")
    forgive(complaints, "404")
