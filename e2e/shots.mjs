// Pictures of every page, wide and narrow, light and dark, in shots/. For eyes, not for tests.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { rows, startBrowser, startDemo } from "./world.mjs";

const folder = join(import.meta.dirname, "shots");
await rm(folder, { recursive: true, force: true });
await mkdir(folder);
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const only = process.argv[2] ?? "";

async function shootAll(context, name, url, before = async () => {}) {
  if (!name.includes(only)) return;
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await context.newPage();
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await page.goto(url);
      await before(page);
      await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) });
      await page.close();
    }
  }
}

async function openRow(page, server, number) {
  await page.goto(`${server.origin}/dashboard/inbox`);
  const row = rows(page).nth(number);
  await row.waitFor();
  await row.click();
  await page.waitForURL(/item=/);
  return page.url();
}

const asStep = (url) => {
  const address = new URL(url);
  address.searchParams.set("filter", "all");
  address.searchParams.set("step", "draft");
  return String(address);
};

async function draft(page) {
  await page.getByRole("button", { name: "Draft a reply" }).click();
  await page.getByRole("textbox", { name: "Text of the reply" }).waitFor();
}

// The picture of the README: a thread with some talk in it and a draft that waits.
async function shootReadme(page, server) {
  await page.goto(`${server.origin}/dashboard/inbox`);
  await rows(page).filter({ hasText: "Half the bag" }).click();
  await page.waitForURL(/item=/);
  await draft(page);
  await page.locator(".row-link[aria-current]").filter({ hasText: "draft ready" }).waitFor();
  await page.mouse.move(1430, 890);
  await page.screenshot({ path: join(folder, "readme.png") });
}

async function shoot(browser, server) {
  const nobody = await browser.newContext();
  await shootAll(nobody, "signin", `${server.origin}/signin`);
  const context = await browser.newContext({ viewport: SIZES.wide });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  await page.goto(server.link);
  await shootAll(nobody, "link-used", server.link);
  const at = (path) => `${server.origin}/dashboard/${path}`;
  await shootAll(context, "empty-inbox", at("inbox"));
  await shootAll(context, "empty-accounts", at("accounts"));
  await shootAll(context, "empty-log", at("activity"));
  await page.goto(at("accounts"));
  await page.getByRole("button", { name: "Connect Reddit" }).click();
  await shootAll(nobody, "consent", page.url());
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByText("Reddit is connected.").waitFor();
  await shootAll(context, "connected", page.url());
  await page.goto(at("inbox"));
  await rows(page).nth(12).waitFor();
  await shootAll(context, "inbox", at("inbox"));

  await shootReadme(page, server);
  const ready = await openRow(page, server, 1);
  await shootAll(context, "thread", ready);
  await shootAll(context, "ask", asStep(ready));
  await draft(page);
  await shootAll(context, "ready-thread", ready);
  await shootAll(context, "ready", asStep(ready));
  await openRow(page, server, 3);
  await draft(page);
  const queued = page.url();
  await page.getByRole("button", { name: "Approve and next" }).click();
  await page.getByText("is approved.").waitFor();
  await shootAll(context, "approved", page.url());
  await shootAll(context, "queued", asStep(queued));
  await page.goto(asStep(queued));
  await page.getByText("See it on Reddit").waitFor();
  await shootAll(context, "posted", page.url());
  await shootAll(context, "posted-change", page.url(), async (shown) => {
    for (const summary of await shown.locator(".resolve > summary").all()) await summary.click();
    await shown.getByRole("button", { name: "Delete the reply on Reddit" }).scrollIntoViewIfNeeded();
  });
  await page.getByText("Take it down").click();
  await page.getByRole("button", { name: "Delete the reply on Reddit" }).click();
  await page.getByText("Taken down from Reddit by").waitFor();
  await shootAll(context, "unpublished", asStep(queued));
  await openRow(page, server, 4);
  await draft(page);
  const rejected = page.url();
  await page.getByRole("button", { name: "Reject" }).click();
  await page.getByText("Closed", { exact: false }).first().waitFor();
  await shootAll(context, "rejected", asStep(rejected));

  await shootAll(context, "search-none", at("inbox?filter=all&q=zebra"));
  await shootAll(context, "all", at("inbox?filter=all"));
  await shootAll(context, "accounts", at("accounts"));
  await shootAll(context, "declined", at("accounts?integration=failed&platform=reddit&reason=declined"));
  await shootAll(context, "intents", at("intents"));
  await shootAll(context, "intent-open", at("intents"), (shown) => shown.locator(".intent > summary").first().click());
  await shootAll(context, "log", at("activity"));
  await shootAll(context, "log-open", at("activity"), (shown) => shown.locator("summary").nth(1).click());
  await shootAll(context, "help", at("inbox"), (shown) => shown.keyboard.press("?"));
  await shootAll(context, "not-found", at("nothing"));
  for (const name of ["team", "account", "tokens", "settings", "webhooks", "uncertain", "notices"]) await shootAll(context, name, at(name));
  for (const name of ["signup", "forgot"]) await shootAll(nobody, name, `${server.origin}/${name}`);
  await page.goto(at("watches"));
  await page.getByLabel("Name of the community, or the words").fill("coffee");
  await page.getByRole("button", { name: "Follow it" }).click();
  await page.getByText("Looks as").first().waitFor();
  await shootAll(context, "watches", at("watches"));
  const [post] = await server.control("posts");
  await server.control("comments", { author: "tired_of_it", parent: post.fullname, text: "Don't reply to me." });
  // It comes with the next round of reading.
  do {
    await page.waitForTimeout(2_000);
    await page.goto(at("inbox?filter=all&q=reply+to+me"));
  } while (await rows(page).count() === 0);
  await rows(page).first().click();
  await page.getByText("is answered no more").waitFor();
  await shootAll(context, "silent", asStep(page.url()));
  await shootAll(context, "etiquette", at("etiquette"));
  await page.goto(at("team"));
  await page.getByLabel("E-mail").fill("bo@acme.example");
  await page.getByRole("button", { name: "Invite" }).click();
  await shootAll(nobody, "invite", await page.getByLabel("Link of the invitation").inputValue());
}

const server = await startDemo();
const browser = await startBrowser();
try {
  await shoot(browser, server);
} finally {
  await browser.close();
  await server.stop();
}
