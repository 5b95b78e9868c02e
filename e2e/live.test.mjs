// Two pages of one team: what happens elsewhere shows here, and never disturbs the person here.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { connect, openFirst, openWorld, person, rows } from "./world.mjs";

const world = await openWorld();
const { server } = world;
const draftOf = (page) => page.getByRole("textbox", { name: "Text of the reply" });

before(async () => connect(world));

test("a new comment announces itself and does not push the list", async (t) => {
  const { page } = await person(world, t);
  await page.goto(`${server.origin}/dashboard/inbox`);
  const first = rows(page).first();
  await first.waitFor();
  const [before, place] = [await first.getAttribute("id"), await first.boundingBox()];
  const number = await rows(page).count();
  await server.control("trickle", {});
  const news = page.getByRole("button", { name: /^\d+ new$/ });
  await news.waitFor({ timeout: 90_000 });
  assert.equal(await rows(page).count(), number);
  assert.equal(await first.getAttribute("id"), before);
  assert.ok((await first.boundingBox()).y - place.y < 40, "only the announcement stands above it");
  await news.click();
  await page.locator(`#list li:first-child .row-link:not(#${before})`).waitFor();
  await page.locator(`#${before}`).waitFor();
  await news.waitFor({ state: "hidden" });
});

test("a decision in one page shows in the other", async (t) => {
  const [here, there] = [await person(world, t), await person(world, t)];
  const address = await openFirst(here.page, server);
  await there.page.goto(address);
  await here.page.getByRole("button", { name: "Draft a reply" }).click();
  await draftOf(here.page).waitFor();
  await draftOf(there.page).waitFor();
  await here.page.getByRole("button", { name: "Approve and next" }).click();
  await there.page.getByText("On its way to Reddit.").waitFor();
  await there.page.getByRole("button", { name: "Undo" }).click();
  await draftOf(there.page).waitFor();
  await here.page.goto(address);
  await here.page.getByRole("button", { name: "Reject" }).click();
  await draftOf(there.page).waitFor({ state: "hidden" });
});

test("typed words are kept, and the page says so, while other parts of it change", async (t) => {
  const { page } = await person(world, t);
  await openFirst(page, server);
  await page.getByRole("button", { name: "Draft a reply" }).click();
  await draftOf(page).waitFor();
  await draftOf(page).fill("Words that are kept.");
  const changed = page.waitForResponse(/\/dashboard\/frame/);
  await page.evaluate(() => document.getElementById("nav-list").dispatchEvent(new CustomEvent("frame-changed")));
  await changed;
  await page.getByText("Kept just now").waitFor();
});

test("words that somebody types are never lost to a decision elsewhere", async (t) => {
  const [here, there] = [await person(world, t), await person(world, t)];
  const address = await openFirst(here.page, server);
  await here.page.getByRole("button", { name: "Draft a reply" }).click();
  await draftOf(here.page).waitFor();
  await there.page.goto(address);
  await draftOf(there.page).fill("Words that nobody may lose.");
  await here.page.getByRole("button", { name: "Reject" }).click();
  await there.page.getByText("This draft was changed elsewhere. Your words are kept here.").waitFor();
  assert.equal(await draftOf(there.page).inputValue(), "Words that nobody may lose.");
  there.ear.expect(/^(answer|console): .*409/);
  await there.page.getByRole("button", { name: "Approve and next" }).click();
  await there.page.getByRole("alert").waitFor();
  await there.page.getByText("Words that nobody may lose.").waitFor();
});

test("words that did not reach the server come back after a reload", async (t) => {
  const { page, ear } = await person(world, t);
  ear.expect(/autosave/);
  await openFirst(page, server);
  await page.getByRole("button", { name: "Draft a reply" }).click();
  await draftOf(page).waitFor();
  await page.route("**/autosave", (route) => route.abort());
  await draftOf(page).fill("Typed while the server was away.");
  await page.getByText("Kept in this browser only").waitFor();
  await page.reload();
  await page.getByText("Your text from before is back").waitFor();
  assert.equal(await draftOf(page).inputValue(), "Typed while the server was away.");
});
