// A real server without a demo's link: the first set-up, sign-in with a password, the way out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, openWorld, person, startServer } from "./world.mjs";

const world = await openWorld(() => startServer("serve", { link: /(http\S+\/setup\?\S+?)["\s]/ }));
const { server } = world;
const PASSWORD = "a long and plain password";
const signIn = async (page, password) => {
  await page.getByLabel("E-mail").fill("ada@acme.example");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
};

test("the first person sets up the server, signs out and comes back to the page they asked for", async (t) => {
  const { page, ear } = await person(world, t, { storageState: NOBODY });
  await page.goto(server.link);
  await page.getByLabel("Your name").fill("Ada");
  await page.getByLabel("E-mail").fill("ada@acme.example");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByLabel("Team name").fill("Acme Coffee");
  await page.getByRole("button", { name: "Make my account and team" }).click();
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();

  await page.goto(`${server.origin}/dashboard/intents`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  ear.expect(/401/);
  await signIn(page, "not the password");
  assert.match(await page.getByRole("alert").innerText(), /wrong/);
  assert.equal(await page.getByLabel("E-mail").inputValue(), "ada@acme.example", "what was typed stays");
  await signIn(page, PASSWORD);
  await page.getByRole("heading", { name: "Intents" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/dashboard/intents");
});

test("sign-in leads to pages of this server only", async (t) => {
  const { page } = await person(world, t, { storageState: NOBODY });
  for (const next of ["https://evil.example/", "//evil.example", "/\\evil.example"]) {
    // A page that is still open would lead to the sign-in page by itself, in the middle of ours.
    await page.goto("about:blank");
    await page.context().clearCookies();
    await page.goto(`${server.origin}/signin?next=${encodeURIComponent(next)}`);
    await signIn(page, PASSWORD);
    await page.getByRole("heading", { name: "Inbox" }).waitFor();
    assert.equal(new URL(page.url()).origin, server.origin);
  }
});

test("a link that was used says so", async (t) => {
  const { page, ear } = await person(world, t, { storageState: NOBODY });
  ear.expect(/410/);
  await page.goto(server.link);
  await page.getByRole("heading", { name: "This link does not work" }).waitFor();
});
