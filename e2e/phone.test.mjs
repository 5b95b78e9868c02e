// On a phone: list, thread and draft are three steps, every action is under the thumb, nothing sticks out.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { assertNoSideways, connect, openWorld, person, rows, untouched } from "./world.mjs";

const world = await openWorld();
const { server } = world;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

before(async () => connect(world));

// A finger can hit it: big enough, on the screen, and nothing lies over it.
async function assertReachable(target, what) {
  await target.scrollIntoViewIfNeeded();
  await target.click({ trial: true });
  const box = await target.boundingBox();
  assert.ok(box.height >= 36 && box.width >= 36, `${what} is only ${box.width} x ${box.height}`);
  assert.ok(box.x >= 0 && box.x + box.width <= 390, `${what} sticks out: ${JSON.stringify(box)}`);
}

for (const colorScheme of ["light", "dark"]) {
  test(`list, thread and draft are steps with every action in reach, ${colorScheme}`, async (t) => {
    const { page } = await person(world, t, { ...PHONE, colorScheme });
    const button = (name) => page.getByRole("button", { name });
    await page.goto(`${server.origin}/dashboard/inbox`);
    await rows(page).first().waitFor();
    await assertNoSideways(page, "the list");
    for (const name of ["Inbox", "Accounts", "Intents", "Log"]) await assertReachable(page.getByRole("link", { name }).first(), name);

    await untouched(page).tap();
    await page.getByRole("region", { name: "Thread" }).waitFor();
    assert.ok(!await rows(page).first().isVisible(), "one step at a time");
    await assertNoSideways(page, "the thread");
    await assertReachable(page.getByRole("link", { name: "Inbox" }).first(), "the way back");
    await page.getByRole("link", { name: "Reply", exact: true }).tap();
    await page.waitForURL(/step=draft/);
    await assertNoSideways(page, "the empty draft");
    await assertReachable(button("No reply needed"), "No reply needed");
    await button("Draft a reply").tap();
    const text = page.getByRole("textbox", { name: "Text of the reply" });
    await text.waitFor();
    await assertNoSideways(page, "the draft");
    for (const name of ["Approve and next", "Reject", "New draft", "No reply needed", "Alternative 1"]) await assertReachable(button(name), name);
    await assertReachable(page.getByRole("link", { name: "Edit" }), "Edit");
    await text.fill("From a phone, with a thumb.");
    await button("Approve and next").tap();
    await page.getByText("is approved.").waitFor();
    await assertNoSideways(page, "the page after approving");
    await assertReachable(button("Undo"), "Undo");
    await button("Undo").tap();
    await text.waitFor();
    await page.getByRole("link", { name: "Thread" }).tap();
    await page.getByRole("link", { name: "Go to the draft" }).waitFor();
    await page.getByRole("link", { name: "Inbox" }).first().tap();
    await rows(page).first().waitFor();
    await page.goBack();
    await page.getByRole("link", { name: "Go to the draft" }).waitFor();
  });
}

test("no page is wider than the phone", async (t) => {
  const { page, ear } = await person(world, t, PHONE);
  ear.expect(/404/);
  for (const path of ["inbox", "inbox?filter=all", "inbox?q=zebra", "accounts", "intents", "activity", "nothing-here"]) {
    await page.goto(`${server.origin}/dashboard/${path}`);
    await page.evaluate(() => document.querySelectorAll("main details").forEach((fold) => { fold.open = true; }));
    await assertNoSideways(page, path);
  }
  await page.goto(`${server.origin}/dashboard/accounts`);
  await assertReachable(page.getByRole("button", { name: "Sign out" }), "Sign out");
});
