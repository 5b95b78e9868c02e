// X as a person meets it: connected by its consent page, the counter counts as X does, and what only a hand may answer says so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, openWorld, person, rows } from "./world.mjs";

const world = await openWorld();
const { server } = world;

test("X is connected, the counter follows X's own count, and an aside is left to a person", async (t) => {
  const { page } = await person(world, t, { storageState: NOBODY });
  await page.goto(server.link);
  await page.getByRole("link", { name: "Connect an account" }).click();
  await page.getByRole("button", { name: "Connect X" }).click();
  await page.getByRole("button", { name: "Authorize app" }).click();
  await page.getByRole("status").filter({ hasText: "X is connected." }).waitFor();
  await page.getByRole("link", { name: "Go to the inbox" }).click();

  await rows(page).filter({ hasText: "grinder squeaks" }).click();
  await page.getByRole("button", { name: "Draft a reply" }).click();
  const text = page.getByRole("textbox", { name: "Text of the reply" });
  await text.waitFor();
  const counter = page.locator("#draft-count");
  for (const [typed, shown] of [
    ["Yes, they do.", "13/280"],
    [`Yes: https://acme.com/${"a".repeat(300)}`, "28/280"],
    ["長".repeat(140), "280/280"],
    ["長".repeat(141), "282/280"],
    ["👩‍👩‍👧‍👧 🇩🇪", "5/280"],
  ]) {
    await text.fill(typed);
    await counter.filter({ hasText: shown }).waitFor();
    assert.equal(await counter.evaluate((line) => line.classList.contains("over")), shown === "282/280");
  }

  await page.goto(`${server.origin}/dashboard/inbox`);
  await rows(page).filter({ hasText: "I tried it at the fair" }).click();
  await page.getByText(/X takes replies through its API only where/).waitFor();
  await page.locator("#draft-pane").getByRole("link", { name: "Open on X" }).waitFor();
  await page.getByRole("button", { name: "I answered there" }).click();
  await page.waitForURL(/decided=/);
  await rows(page).filter({ hasText: "I tried it at the fair" }).waitFor({ state: "detached" });
});
