// One world for one test file: a demo in a folder of its own, a browser, and an ear for everything that a page must not do.
// What always holds: the demo and its Postgres are gone when the file ends. What can go wrong: a start that takes over a
// minute fails with what the demo printed.

import { chromium } from "playwright-core";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { after } from "node:test";

const root = resolve(import.meta.dirname, "..");
const START_MS = 60_000;
const STOP_MS = 20_000;
const ANSWER_MS = 15_000;
/** The state of a browser in which nobody is signed in. */
export const NOBODY = { cookies: [], origins: [] };

// What is tested is what the last build made; a missing program is built.
function program() {
  const built = join(resolve(root, process.env.CARGO_TARGET_DIR ?? "target"), "debug", "rejoinder");
  if (!existsSync(built)) execFileSync("cargo", ["build", "--locked"], { cwd: root, stdio: "inherit" });
  return built;
}

function browserProgram() {
  const named = process.env.CHROMIUM;
  if (named) return named;
  const folders = (process.env.PATH ?? "").split(delimiter);
  for (const name of ["chromium", "google-chrome"]) {
    const found = folders.map((folder) => join(folder, name)).find(existsSync);
    if (found) return found;
  }
  throw new Error("No browser: install chromium or set CHROMIUM to one.");
}

async function freePort() {
  const probe = createServer();
  await new Promise((done, failed) => probe.once("error", failed).listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

// Settings of the person who runs the tests must not reach the server under test.
function cleanEnvironment(more) {
  const kept = ["PATH", "HOME", "USER", "LANG", "TMPDIR", "POSTGRES_BIN_DIR"];
  const entries = kept.filter((name) => process.env[name]).map((name) => [name, process.env[name]]);
  return { ...Object.fromEntries(entries), ...more };
}

function isAlive(pid) {
  try { process.kill(pid, 0); return true; } catch { return false; }
}

/** Runs `rejoinder <command>` in a new folder and waits until it printed all of `links` (name -> pattern with one group). */
export async function startServer(command, links) {
  const folder = await mkdtemp(join(tmpdir(), "rejoinder-e2e-"));
  await chmod(folder, 0o755); // the private cluster belongs to another user when this runs as root
  const port = await freePort();
  const child = spawn(program(), [command], { cwd: folder, env: cleanEnvironment({ PORT: String(port) }), stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((done) => child.once("exit", done));
  let printed = "";
  const found = new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`no start within ${START_MS / 1000} s:\n${printed}`)), START_MS);
    const read = (chunk) => {
      printed += chunk;
      const hits = Object.entries(links).map(([name, pattern]) => [name, printed.match(pattern)?.[1]]);
      if (hits.every(([, hit]) => hit)) {
        clearTimeout(late);
        done(Object.fromEntries(hits));
      }
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    ended.then((code) => {
      clearTimeout(late);
      failed(new Error(`ended with ${code}:\n${printed}`));
    });
  });

  async function stop() {
    const pidFile = join(folder, "rejoinder-data", command === "demo" ? "demo" : "", "pg", "data", "postmaster.pid");
    const postgres = Number((await readFile(pidFile, "utf8").catch(() => "")).split("\n")[0]);
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(late);
    if (postgres && isAlive(postgres)) process.kill(postgres, "SIGQUIT");
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }

  try {
    return { ...await found, origin: `http://localhost:${port}`, printed: () => printed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function startDemo() {
  const server = await startServer("demo", { link: /Dashboard\s+(\S+)/, sandbox: /Simulated Reddit\s+(\S+?)\/?\s/ });
  server.control = async (path, body) => {
    const answer = await fetch(`${server.sandbox}/control/${path}`, body === undefined ? {} : {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  return server;
}

export function startBrowser() {
  const args = ["--disable-gpu", "--disable-dev-shm-usage"];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: browserProgram(), args });
}

/** Everything of a test file that must end with it. `serve` is a function that starts a server. */
export async function openWorld(serve = startDemo) {
  const opened = [];
  after(async () => {
    for (const one of opened.reverse()) await one();
  });
  const server = await serve();
  opened.push(server.stop);
  const browser = await startBrowser();
  opened.push(() => browser.close());
  return { server, browser, session: undefined };
}

/** What a page of ours did that it must not do. `expect` names what a test provokes on purpose. */
export class Ear {
  #heard = [];
  #expected = [];
  #origin;

  constructor(origin) {
    this.#origin = origin;
  }

  expect(pattern) {
    this.#expected.push(pattern);
  }

  #hear(line) {
    if (!this.#expected.some((pattern) => pattern.test(line))) this.#heard.push(line);
  }

  async listen(context) {
    await context.exposeBinding("reportViolation", (_, line) => this.#hear(line));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.reportViolation(`policy: ${event.violatedDirective} forbids ${event.blockedURI} on ${location.pathname}`);
      });
    });
    context.on("page", (page) => this.#listenTo(page));
  }

  #listenTo(page) {
    const ours = (url) => url.startsWith(this.#origin);
    page.on("dialog", (dialog) => {
      this.#hear(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("pageerror", (error) => this.#hear(`script: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && ours(message.location().url || page.url())) {
        this.#hear(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("requestfailed", (request) => {
      // A page that is left takes its open requests with it.
      const left = request.failure()?.errorText === "net::ERR_ABORTED";
      if (ours(request.url()) && !left) this.#hear(`request: ${request.url()} ${request.failure()?.errorText}`);
    });
    page.on("response", (answer) => {
      if (ours(answer.url()) && answer.status() >= 400) this.#hear(`answer: ${answer.status()} ${answer.request().method()} ${answer.url()}`);
    });
  }

  quiet() {
    if (this.#heard.length > 0) throw new Error(`The pages of ${this.#origin} were not quiet:\n${this.#heard.join("\n")}`);
  }
}

// The link of the demo works once; everybody after the first gets the same session.
async function signIn(world) {
  const context = await world.browser.newContext();
  const page = await context.newPage();
  await page.goto(world.server.link);
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  world.session = await context.storageState();
  await context.close();
}

/** A person at a browser of their own, signed in. What their pages must not do fails the test when they leave. */
export async function person(world, test, options = {}) {
  const { server, browser } = world;
  if (!world.session && options.storageState === undefined) await signIn(world);
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 }, colorScheme: "light", storageState: world.session, ...options,
  });
  context.setDefaultTimeout(ANSWER_MS);
  const ear = new Ear(server.origin);
  await ear.listen(context);
  const page = await context.newPage();
  test.after(async () => {
    await context.close();
    ear.quiet();
  });
  return { context, page, ear };
}

/** Connects the simulated Reddit by hand and waits for the first items. */
export async function connect(world) {
  const { server, browser } = world;
  if (!world.session) await signIn(world);
  const context = await browser.newContext({ storageState: world.session });
  const page = await context.newPage();
  await page.goto(`${server.origin}/dashboard/accounts`);
  await page.getByRole("button", { name: "Connect Reddit" }).click();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("link", { name: "Go to the inbox" }).click();
  await rows(page).nth(5).waitFor({ timeout: 30_000 });
  await context.close();
}

/** The newest item that nobody began to answer. */
export const untouched = (page) => rows(page).filter({ hasText: "no draft yet" }).first();

/** Opens the newest untouched item; gives its address. */
export async function openFirst(page, server) {
  await page.goto(`${server.origin}/dashboard/inbox`);
  await untouched(page).click();
  await page.waitForURL(/item=/);
  return page.url();
}

/** The list's rows. */
export const rows = (page) => page.locator("#list").getByRole("listitem").getByRole("link");

/** Nothing sticks out of the page to the side. */
export async function assertNoSideways(page, where) {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const clipped = (element) => element.closest(".sr, .skip, [hidden], dialog:not([open])");
    const scrolls = [...document.querySelectorAll("body, body *")].filter((element) =>
      element.scrollWidth > element.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(element).overflowX));
    const out = [...document.querySelectorAll("body *")].filter((element) => {
      const box = element.getBoundingClientRect();
      return element.checkVisibility() && box.width > 0 && box.right > width + 1 && !clipped(element);
    });
    const named = (element) => `${element.tagName.toLowerCase()}.${element.className} ${(element.textContent ?? "").trim().slice(0, 40)}`;
    return { page: document.documentElement.scrollWidth - width, out: out.slice(0, 5).map(named), scrolls: scrolls.slice(0, 5).map(named) };
  });
  if (wide.page > 0 || wide.out.length > 0 || wide.scrolls.length > 0) throw new Error(`${where} is too wide: ${JSON.stringify(wide)}`);
}

/** Waits until `check` gives something; for what happens outside of a page. */
export async function until(check, what, within = 20_000) {
  const end = Date.now() + within;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${within / 1000} s: ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
