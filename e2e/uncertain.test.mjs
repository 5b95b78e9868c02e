// A reply whose answer never came: it shows by itself in the navigation and on its page, and goes by itself once it was seen.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { assertNoSideways, connect, openFirst, openWorld, person, until } from "./world.mjs";

const world = await openWorld();
const { server } = world;

before(async () => connect(world));

test("a reply of unknown outcome shows on its page until it is seen on the platform", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard/uncertain`);
  await page.getByText("Every outcome is known").waitFor();

  await openFirst(page, server);
  await page.getByRole("button", { name: "Draft a reply" }).click();
  const draft = page.getByRole("textbox", { name: "Text of the reply" });
  await draft.waitFor();
  const text = await draft.inputValue();
  // It is posted, the connection ends, and the readers of the next half minute do not see it.
  await server.control("faults", { writes: [{ kind: "dropped_and_hidden", millis: 25_000 }] });
  await page.getByRole("button", { name: "Approve and next" }).click();
  const entry = page.getByRole("link", { name: /^Uncertain 1 of unknown outcome$/ });
  await entry.waitFor({ timeout: 30_000 });
  await entry.click();

  const row = page.getByRole("main").getByRole("listitem");
  await row.getByText(text, { exact: true }).waitFor();
  assert.equal(await row.count(), 1);
  await row.getByText("Being settled").waitFor();
  await row.getByText(/^You can decide from /).waitFor();
  assert.equal(await row.getByRole("button").count(), 0, "nobody decides while it could still appear");
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: 844 });
    await assertNoSideways(page, `uncertain at ${width}`);
  }
  await row.getByRole("link", { name: "Its history" }).click();
  await page.getByText(/no clear answer/).waitFor();
  await page.goBack();

  await page.getByText("Every outcome is known").waitFor({ timeout: 60_000 });
  await until(async () => (await page.locator("#nav-uncertain .badge").count()) === 0, "the count goes");
});
