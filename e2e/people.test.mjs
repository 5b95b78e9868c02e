// People of a server: invited, let in, given a role, removed; their password, second step, sessions and tokens. On a desk and on a phone.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { before, test } from "node:test";
import { assertNoSideways, NOBODY, openWorld, person, startServer } from "./world.mjs";

const world = await openWorld(() => startServer("serve", { link: /(http\S+\/setup\?\S+?)["\s]/ }));
const { server } = world;
const PASSWORD = "a long and plain password";
const at = (path) => `${server.origin}${path}`;
const button = (page, name) => page.getByRole("button", { name });

before(async () => {
  const context = await world.browser.newContext({ storageState: NOBODY });
  const page = await context.newPage();
  await page.goto(server.link);
  await page.getByLabel("Your name").fill("Ada");
  await page.getByLabel("E-mail").fill("ada@acme.example");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByLabel("Team name").fill("Acme Coffee");
  await button(page, "Make my account and team").click();
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  world.session = await context.storageState();
  await context.close();
});

async function invite(page, email, role) {
  await page.goto(at("/dashboard/team"));
  await page.getByLabel("E-mail").fill(email);
  await page.locator("#invite-role").selectOption(role);
  await button(page, "Invite").click();
  return page.getByLabel("Link of the invitation").inputValue();
}

async function join(page, link, name, email) {
  await page.goto(link);
  await page.getByRole("heading", { name: "Join Acme Coffee" }).waitFor();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await button(page, "Make my account and join").click();
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
}

async function signIn(page, email) {
  await page.goto(at("/signin"));
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await button(page, "Sign in").click();
}

// RFC 6238, six digits, 30 s; `ahead` counts steps.
function totp(secret, ahead = 0) {
  const bits = [...secret.replace(/[\s=]/g, "")].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const mac = createHmac("sha1", key).update(step).digest();
  const cut = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(cut % 1_000_000).padStart(6, "0");
}

test("somebody who is invited joins, may what the role allows, and is out when removed", async (t) => {
  const ada = await person(world, t);
  const link = await invite(ada.page, "bo@acme.example", "viewer");
  await ada.page.goto(at("/dashboard/team"));
  assert.equal(await ada.page.getByLabel("Link of the invitation").count(), 0, "the link is shown once");

  const bo = await person(world, t, { storageState: NOBODY });
  bo.ear.expect(/40[134]|410/);
  await join(bo.page, link, "Bo <b>", "bo@acme.example");
  await bo.page.goto(at("/dashboard/team"));
  await bo.page.getByText("Only admins of the team invite people and change roles.").waitFor();
  assert.equal(await button(bo.page, "Invite").count(), 0);

  const stranger = await person(world, t, { storageState: NOBODY });
  stranger.ear.expect(/410|404/);
  await stranger.page.goto(link);
  await stranger.page.getByRole("heading", { name: "This invitation does not work" }).waitFor();

  const row = ada.page.locator(".person", { hasText: "bo@acme.example" });
  await ada.page.goto(at("/dashboard/team"));
  await row.getByText("Bo <b>", { exact: true }).first().waitFor();
  await row.getByLabel("Role of Bo <b>").selectOption("admin");
  await row.getByRole("button", { name: "Save" }).click();
  await bo.page.goto(at("/dashboard/team"));
  await button(bo.page, "Invite").waitFor();

  await row.getByText("Remove…").click();
  await row.getByRole("button", { name: "Remove Bo <b>" }).click();
  await row.waitFor({ state: "detached" });
  await bo.page.goto(at("/dashboard/inbox"));
  assert.equal(await bo.page.getByText("Acme Coffee").count(), 0, "nothing of the team is left to see");
});

test("a second step guards the door; a recovery code opens it once", async (t) => {
  const ada = await person(world, t);
  const link = await invite(ada.page, "cy@acme.example", "editor");
  const { page } = await person(world, t, { storageState: NOBODY });
  await join(page, link, "Cy", "cy@acme.example");
  await page.goto(at("/dashboard/account"));
  await page.locator("#factor-password").fill(PASSWORD);
  await button(page, "Set up an app").click();
  await page.getByRole("img", { name: "QR code of the secret below" }).waitFor();
  const secret = await page.locator("code.secret").innerText();
  await page.getByLabel("Code of the app").fill(totp(secret));
  await button(page, "Turn the second step on").click();
  await page.locator(".recovery-codes code").first().waitFor();
  const codes = await page.locator(".recovery-codes code").allInnerTexts();
  assert.ok(codes.length >= 8, `${codes.length} recovery codes`);

  // Each time at a browser of their own: a page that is left open would follow the session out of this one.
  for (const [what, works] of [[codes[0], true], [codes[0], false], [totp(secret, 1), true]]) {
    const door = await person(world, t, { storageState: NOBODY });
    door.ear.expect(/401/);
    await signIn(door.page, "cy@acme.example");
    await door.page.getByRole("heading", { name: "One more step" }).waitFor();
    await door.page.goto(at("/dashboard/inbox"));
    await door.page.getByRole("heading", { name: "Sign in" }).waitFor();
    await door.page.goto(at("/signin/code"));
    await door.page.getByLabel("Code", { exact: true }).fill(what);
    await button(door.page, "Sign in").click();
    if (works) await door.page.getByRole("heading", { name: "Inbox" }).waitFor();
    else await door.page.getByRole("alert").waitFor();
  }
});

test("a new password ends the sessions elsewhere and keeps this one", async (t) => {
  const ada = await person(world, t);
  const link = await invite(ada.page, "di@acme.example", "editor");
  const here = await person(world, t, { storageState: NOBODY });
  await join(here.page, link, "Di", "di@acme.example");
  const there = await person(world, t, { storageState: NOBODY });
  there.ear.expect(/401/);
  await signIn(there.page, "di@acme.example");
  await there.page.getByRole("heading", { name: "Inbox" }).waitFor();

  await here.page.goto(at("/dashboard/account"));
  assert.equal(await here.page.locator(".session-line").count(), 2);
  await here.page.getByLabel("Current password").fill(PASSWORD);
  await here.page.getByLabel("New password").fill("another long and plain one");
  await button(here.page, "Change the password").click();
  await here.page.getByRole("status").waitFor();
  assert.equal(await here.page.locator(".session-line").count(), 1);
  await there.page.goto(at("/dashboard/inbox"));
  await there.page.getByRole("heading", { name: "Sign in" }).waitFor();
});

test("a token is shown once, opens the API, and nothing after it was revoked", async (t) => {
  const { page } = await person(world, t);
  await page.goto(at("/dashboard/tokens"));
  await page.getByLabel("What it is for").fill("nightly report");
  await page.getByLabel("Role at most").selectOption("viewer");
  await button(page, "Make the token").click();
  const token = await page.getByLabel("Token", { exact: true }).inputValue();
  assert.match(token, /^rjn_/);
  const ask = () => fetch(at("/api/me"), { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask()).status, 200);
  await page.goto(at("/dashboard/tokens"));
  assert.ok(!(await page.content()).includes(token), "it stands on no page again");
  const card = page.locator(".token", { hasText: "nightly report" });
  await card.getByText("Revoke…").click();
  await card.getByRole("button", { name: "Revoke nightly report" }).click();
  await page.getByRole("status").waitFor();
  assert.equal((await ask()).status, 401);
});

for (const width of [1440, 390]) {
  test(`no page of people is wider than ${width} pixels`, async (t) => {
    const { page } = await person(world, t, { viewport: { width, height: 844 } });
    for (const path of ["team", "account", "tokens", "webhooks", "settings"]) {
      await page.goto(at(`/dashboard/${path}`));
      await page.evaluate(() => document.querySelectorAll("main details").forEach((fold) => { fold.open = true; }));
      await assertNoSideways(page, path);
    }
    const nobody = await person(world, t, { viewport: { width, height: 844 }, storageState: NOBODY });
    nobody.ear.expect(/403/); // sign-up is by invitation here
    for (const path of ["signin", "signup", "forgot"]) {
      await nobody.page.goto(at(`/${path}`));
      await assertNoSideways(nobody.page, path);
    }
  });
}
