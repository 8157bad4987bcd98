// What the scripts beside it share: a page of a running host in Debian's Chromium, and a word with the test that runs them.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.env.HIVE_PAGE_PACKAGES}/index.js`);
const { chromium } = require("playwright-core");
const { source: axe } = require("axe-core");

export const url = process.env.HIVE_PAGE_URL;

/** Long for a machine that does much else; what is waited for comes as an event of the page. */
const PATIENCE = 60_000;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Says how far it is, and waits until the test has looked at the broker. */
export async function checked(step) {
  console.log(step);
  const { done } = await answers.next();
  if (done) throw new Error(`the test ended at: ${step}`);
}

/** Runs `story` on a page, and fails on any error of the page's own. */
export async function onPage(story, options = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.HIVE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  let failed = null;
  const faults = [];
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (line) => {
      // A request that is refused is a line too, and part of some stories.
      if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) faults.push(line.text());
    });
    page.on("dialog", (dialog) => {
      faults.push(`a script of a message ran: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.goto(`${url}/`);
    await story(page, context);
    assert.deepEqual(faults, []);
  } catch (error) {
    failed = error;
  }
  await browser.close();
  if (failed !== null) {
    console.error(failed, ...faults);
    process.exit(1);
  }
  process.exit(0);
}

/** Goes to a view, and waits for its heading. */
export async function view(page, hash, heading) {
  await page.evaluate((hash) => void (location.hash = hash), hash);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
}

/** What axe finds wrong, one line a place. */
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  return found.violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.html}: ${node.failureSummary}`),
  );
}
