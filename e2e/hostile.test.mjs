// What strangers write is shown as what it is: text.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { assertNoSideways, connect, openWorld, person, rows, until } from "./world.mjs";

const world = await openWorld();
const { server } = world;
const CODE = `<script>alert("owned")</script><img src=x onerror="alert(1)"><b>bold?</b> {{ 7 * 7 }} <a href="javascript:alert(2)">free coffee</a>`;
const HOSTILE = {
  code_carl: CODE,
  rtl_rita: "Send it to \u202Egpj.elgnirg\u202C and \u2067\u05E9\u05DC\u05D5\u05DD\u2069, please",
  emoji_emil: "\u{1F600}".repeat(10_000),
  endless_edda: `https://example.com/${"a".repeat(3000)}`,
  zalgo_zoe: `H${"\u0300\u0315\u0334".repeat(300)}ello`,
};

before(async () => {
  await connect(world);
  const posts = await server.control("posts");
  const parent = posts.find((post) => post.title === "What should we build next?").fullname;
  for (const [author, text] of Object.entries(HOSTILE)) await server.control("comments", { author, parent, text });
});

// The stranger's item, looked for by name: by address and not by the live list, which other strangers move.
async function open(page, author) {
  await until(async () => {
    await page.goto(`${server.origin}/dashboard/inbox?q=${author}`);
    return await rows(page).count() > 0;
  }, `an item of ${author}`, 60_000);
  await assertNoSideways(page, `the list with ${author}`);
  await rows(page).first().click();
  await page.locator("article.target").filter({ hasText: author }).waitFor();
}

for (const [name, viewport] of [["wide", { width: 1440, height: 900 }], ["on a phone", { width: 390, height: 844 }]]) {
  test(`hostile texts are shown as text, ${name}`, async (t) => {
    const { page } = await person(world, t, { viewport });
    for (const author of Object.keys(HOSTILE)) {
      await open(page, author);
      await assertNoSideways(page, `the thread with ${author}`);
      const shown = await page.locator("article.target .text").innerText();
      if (author === "code_carl") {
        assert.equal(shown, CODE);
        assert.equal(await page.locator("article.target").locator("script, img, b, a").count(), 0);
      }
      if (author === "emoji_emil") assert.ok([...shown].length >= 9_000, `${[...shown].length} of 10,000 emoji`);
    }
    await page.goto(`${server.origin}/dashboard/activity`);
    await assertNoSideways(page, "the log");
  });
}
