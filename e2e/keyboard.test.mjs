// A person without a mouse: every step of the inbox from the keyboard, and the focus always stands somewhere visible.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { connect, openWorld, person, rows } from "./world.mjs";

const world = await openWorld();
const { server } = world;

before(async () => connect(world));

const focus = (page) => page.evaluate(() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const box = element.closest(".editor-box");
  const ring = (of) => of.outlineStyle !== "none" && parseFloat(of.outlineWidth) >= 2;
  const onScreen = element.getBoundingClientRect();
  return {
    name: element.id || element.tagName.toLowerCase(),
    lost: element === document.body || !element.isConnected,
    visible: (ring(style) || (box !== null && ring(getComputedStyle(box)))) && onScreen.width > 0 && onScreen.bottom > 0 && onScreen.top < innerHeight,
  };
});

async function assertFocus(page, after) {
  await page.waitForFunction(() => document.activeElement !== document.body, undefined, { timeout: 3000 }).catch(() => {});
  const seen = await focus(page);
  assert.ok(!seen.lost, `the focus is lost after ${after}`);
  assert.ok(seen.visible, `the focus is not visible after ${after}: ${JSON.stringify(seen)}`);
  return seen.name;
}

const selected = (page) => page.locator(".row-link[aria-current]").getAttribute("id");
const shown = async (page) => page.locator(`#draft-pane[data-item="${(await selected(page)).replace("open-", "")}"]`).waitFor();
const text = (page) => page.getByRole("textbox", { name: "Text of the reply" });

test("items are walked, drafted, edited, approved, taken back and rejected with the keys alone", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard/inbox`);
  await rows(page).nth(4).waitFor();
  await page.keyboard.press("j");
  await assertFocus(page, "the first j");
  const start = await selected(page);
  await page.keyboard.press("j");
  const second = await assertFocus(page, "j");
  assert.notEqual(second, start);
  await page.keyboard.press("k");
  assert.equal(await assertFocus(page, "k"), start);
  await shown(page);

  await page.keyboard.press("a");
  await text(page).waitFor();
  await assertFocus(page, "asking for a draft");
  await page.keyboard.press("e");
  assert.equal(await assertFocus(page, "e"), "draft-text");
  await page.keyboard.type(" Added by hand.");
  assert.match(await text(page).inputValue(), /Added by hand\.$/);
  await page.keyboard.press("Escape");
  assert.equal(await assertFocus(page, "Escape"), start);

  await page.keyboard.press("a");
  await page.getByText("is approved.").waitFor();
  await assertFocus(page, "approving");
  assert.notEqual(await selected(page), start, "it stands on the next item");
  await page.keyboard.press("u");
  await text(page).waitFor();
  await assertFocus(page, "undo");
  assert.match(await text(page).inputValue(), /Added by hand\.$/);
  await page.keyboard.press("r");
  await text(page).waitFor({ state: "hidden" });
  await assertFocus(page, "rejecting");
});

test("search, help and Ctrl+Enter do what the list of keys says", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard/inbox`);
  await rows(page).first().waitFor();
  await page.keyboard.press("/");
  assert.equal(await assertFocus(page, "/"), "search");
  await page.keyboard.type("grinder");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=grinder/);
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keys" });
  await help.waitFor();
  await page.keyboard.press("Escape");
  await help.waitFor({ state: "hidden" });
  await page.goto(`${server.origin}/dashboard/inbox`);
  await rows(page).nth(1).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await shown(page);
  await page.getByRole("button", { name: "Draft a reply" }).waitFor();
  await page.keyboard.press("a");
  await text(page).waitFor();
  await page.keyboard.press("e");
  await page.keyboard.press("Control+Enter");
  await page.getByText("is approved.").waitFor();
  await assertFocus(page, "Ctrl+Enter");
});

test("a key does nothing to the item before while the selected one is on its way", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard/inbox`);
  await rows(page).nth(1).waitFor();
  await page.keyboard.press("j");
  await shown(page);
  await page.getByRole("button", { name: "Draft a reply" }).waitFor();
  let letThrough;
  const held = new Promise((resolve) => { letThrough = resolve; });
  await page.route(/\/dashboard\/inbox\?.*item=/, async (route) => {
    await held;
    await route.continue();
  });
  const decisions = [];
  page.on("request", (request) => { if (request.method() === "POST") decisions.push(request.url()); });
  await page.keyboard.press("j");
  await page.keyboard.press("a");
  letThrough();
  await shown(page);
  assert.deepEqual(decisions, []);
});

test("a Tab walk through the inbox meets only visible places", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard/inbox`);
  await page.keyboard.press("j");
  await page.locator("#thread").waitFor();
  for (let step = 0; step < 12; step += 1) {
    await page.keyboard.press("Tab");
    await assertFocus(page, `Tab ${step + 1}`);
  }
});
