// The way of messages: drawn, chosen, walked by keyboard, found among a thousand; what does not fit is red.
import assert from "node:assert/strict";
import { checked, onPage, view } from "./page.mjs";

/** What a name says that would act on a page or a terminal. */
const FORGED = "<b>x</b>";

await onPage(async (page) => {
  await view(page, "#/topology", "Topology");

  // Everything that is declared is drawn, from the exchange to where it is published.
  for (const name of [
    /^exchange events/,
    /^queue letters/,
    /^consumer letters, consuming/,
    /^component publish/,
    /^retries letters/,
    /^queue letters\.dead/,
    /^schedule nightly/,
  ]) {
    await page.locator("svg").getByRole("link", { name }).first().waitFor();
  }
  // A mismatch is red, says what the broker says, and stands above all.
  const wrong = page.locator("svg a.wrong");
  await page.locator("svg").getByRole("link", { name: /queue bent .*problem: / }).waitFor();
  await page.locator("svg").getByRole("link", { name: /consumer bent, waiting, problem: / }).waitFor();
  assert.equal(await wrong.count(), 2);
  const problem = page.getByRole("listitem").filter({ hasText: "queue bent" }).first();
  await problem.getByText(/inequivalent arg|PRECONDITION_FAILED/).waitFor();
  const colour = (locator) => locator.evaluate((node) => getComputedStyle(node).stroke);
  const red = await colour(wrong.locator("rect").first());
  assert.notEqual(red, await colour(page.locator("svg a:not(.wrong) rect").first()));

  // Names are text.
  await page.locator("svg text").getByText(FORGED).first().waitFor();
  assert.equal(await page.locator("main b, main script, main img").count(), 0);

  // A node is chosen by keyboard, and says what comes and goes.
  const consumer = page.locator("svg").getByRole("link", { name: /^consumer letters/ });
  await consumer.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: "consumer letters" }).waitFor();
  assert.equal(decodeURIComponent(new URL(page.url()).hash), "#/topology/consumer//letters");
  await page.locator("svg").getByRole("link", { name: /^exchange events/ }).waitFor();
  assert.equal(await page.locator("svg").getByRole("link", { name: /queue bent/ }).count(), 0);
  await page.getByText(/queue letters, delivered/).waitFor();
  await checked("chosen");

  // The rates are those of now.
  await page.getByText(/queue letters, delivered, [1-9][\d.]* a second/).waitFor();
  await page.locator("svg .way.flows").first().waitFor({ state: "attached" });
  await checked("flowing");

  // What a component may publish leads to the queue behind it.
  await page.getByRole("link", { name: "publish", exact: true }).click();
  await page.getByRole("heading", { level: 2, name: "component publish" }).waitFor();
  await page.getByText(/queue out, published/).waitFor();

  // What is mended is red no more.
  await checked("mended");
  await view(page, "#/topology/queue%2Fmain%2Fbent", "Topology");
  await page.locator("svg a.chosen:not(.wrong)").waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  const [inside, outside] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(inside <= outside, `${inside} pixels in ${outside}`);
});
