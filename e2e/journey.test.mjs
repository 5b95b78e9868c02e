// The way of a new user: connect, read, draft, edit, approve, see the reply over there, read the log. Then the ways that
// end early: a declined consent and a consent used twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, openWorld, person, rows } from "./world.mjs";

const world = await openWorld();
const { server } = world;
const CALLBACK = /\/api\/integrations\/reddit\/oauth\/callback/;

test("a new user connects, drafts, edits and approves, and one reply stands on Reddit", async (t) => {
  const { context, page } = await person(world, t, { storageState: NOBODY });
  let callback;
  page.on("request", (request) => { if (CALLBACK.test(request.url())) callback = request.url(); });

  await page.goto(server.link);
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  world.session = await context.storageState();
  await page.getByRole("link", { name: "Connect an account" }).click();
  await page.getByRole("button", { name: "Connect Reddit" }).click();
  await page.getByRole("heading", { name: /asks to use an account/ }).waitFor();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("status").filter({ hasText: "Reddit is connected." }).waitFor();
  assert.equal(new URL(page.url()).origin, server.origin);

  await page.getByRole("link", { name: "Go to the inbox" }).click();
  await page.evaluate(() => { window.sameDocument = true; });
  await rows(page).first().waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument), "the items came without a reload");

  const row = rows(page).first();
  await row.click();
  const thread = page.getByRole("region", { name: "Thread" });
  await thread.getByText("To answer").waitFor();
  await page.getByRole("button", { name: "Draft a reply" }).click();
  const text = page.getByRole("textbox", { name: "Text of the reply" });
  await text.waitFor();
  const drafted = await text.inputValue();
  assert.ok(drafted.length > 20, `a draft: ${drafted}`);
  const reply = `${drafted} Write to us if it does not help.`;
  await text.fill(reply);
  await page.getByText("Kept just now").waitFor();
  const onReddit = await page.getByRole("link", { name: "Open on Reddit" }).getAttribute("href");
  await page.getByRole("button", { name: "Approve and next" }).click();

  const earlier = page.getByRole("status").filter({ hasText: "is approved." });
  await earlier.getByText(/Goes out in \d s/).waitFor();
  await earlier.getByRole("button", { name: "Undo" }).waitFor();
  await earlier.getByRole("link", { name: "Show it" }).click();
  await page.getByText("See it on Reddit").waitFor({ timeout: 30_000 });

  const there = await context.newPage();
  await there.goto(onReddit);
  assert.equal(await there.getByText(reply, { exact: true }).count(), 1, "the reply stands there once");
  const [seen] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: "See it on Reddit" }).click()]);
  await seen.getByText(reply, { exact: true }).waitFor();

  await page.getByRole("link", { name: "Log" }).click();
  const log = page.getByRole("main");
  for (const line of [/connected an account/, /wrote a draft/, /approved the reply/, /saw the reply on the platform/]) {
    await log.getByText(line).first().waitFor();
  }

  await page.goto(callback);
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /used/i);
});

test("a declined consent says what happened and how to try again", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard`);
  await page.getByRole("link", { name: "Accounts" }).click();
  await page.getByRole("button", { name: "Connect Reddit" }).click();
  await page.getByRole("button", { name: "Decline" }).click();
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.match(await alert.innerText(), /declined|refused|not given/i);
  await page.getByRole("button", { name: "Connect Reddit" }).waitFor();
});
