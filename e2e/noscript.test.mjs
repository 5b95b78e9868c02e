// With scripts switched off everything still works, a page at a time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, openWorld, person, rows, until } from "./world.mjs";

const world = await openWorld();
const { server } = world;

test("without scripts a person signs in, connects, drafts, edits and approves", async (t) => {
  const { page } = await person(world, t, { javaScriptEnabled: false, storageState: NOBODY });
  await page.goto(server.link);
  await page.getByRole("link", { name: "Connect an account" }).click();
  await page.getByRole("button", { name: "Connect Reddit" }).click();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("link", { name: "Go to the inbox" }).click();
  await until(async () => {
    if (await rows(page).count() > 0) return true;
    await page.reload();
    return false;
  }, "items in the inbox");
  await rows(page).first().click();
  await page.getByRole("button", { name: "Draft a reply" }).click();
  const text = page.getByRole("textbox", { name: "Text of the reply" });
  await until(async () => {
    if (await text.count() > 0) return true;
    await page.getByRole("link", { name: "Look again" }).click();
    return false;
  }, "a draft");
  const onReddit = await page.getByRole("link", { name: "Open on Reddit" }).getAttribute("href");
  const item = page.url();
  await text.fill("Written without a single script.");
  await page.getByRole("button", { name: "Approve and next" }).click();
  await page.getByText("is approved.").waitFor();
  await page.getByRole("link", { name: "Show it" }).click();
  await page.getByText("On its way to Reddit.").waitFor();
  await until(async () => {
    await page.goto(item);
    return await page.getByRole("link", { name: "See it on Reddit" }).count() > 0;
  }, "the reply on Reddit", 40_000);
  await page.goto(onReddit);
  assert.equal(await page.getByText("Written without a single script.", { exact: true }).count(), 1);
});
