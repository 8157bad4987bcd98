// On call: from the number of dead letters to the cause in three clicks, from the new code to an empty queue in four. Where
// pictures are asked for, each click is one of an animated picture.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { animated } from "./apng.mjs";
import { checked, onPage, view } from "./page.mjs";

const pictures = process.env.HIVE_PAGE_PICTURES;

/** How long a reader needs for a frame. */
const BEFORE_CLICK = 1200;
const AT_LAST = 3500;

/** What a page that is loaded from a README may have. */
const MOST_BYTES = 640 << 10;

await onPage(async (page) => {
  const frames = [];
  const frame = async (millis) => {
    if (pictures === undefined) return;
    frames.push({ png: await page.screenshot({ animations: "disabled" }), millis });
  };
  /** Clicks, with what is clicked marked in the picture. */
  const click = async (locator) => {
    if (pictures !== undefined) {
      await locator.waitFor();
      await locator.evaluate((node) => (node.style.outline = "3px solid #d9480f"));
      await frame(BEFORE_CLICK);
      await locator.evaluate((node) => (node.style.outline = ""));
    }
    await locator.click();
  };
  if (pictures !== undefined) await page.setViewportSize({ width: 960, height: 600 });

  await click(page.getByRole("link", { name: "3 dead letters of letters" }));
  await click(page.getByRole("button", { name: /^Messages of/ }));
  await click(page.getByRole("button", { name: "o-1" }));
  await page.getByText(/cannot take tea/).first().waitFor();
  await page.getByRole("heading", { name: "Message o-1" }).scrollIntoViewIfNeeded();
  await frame(AT_LAST);
  await checked("found");

  await page.getByRole("link", { name: "Components" }).click();
  await click(page.getByRole("button", { name: "New code for fail" }));
  await page.getByLabel(/A component/).setInputFiles(process.env.HIVE_PAGE_CODE);
  await click(page.getByRole("button", { name: "Swap", exact: true }));
  await page.getByText("Generation 2 serves now.").waitFor();
  await frame(BEFORE_CLICK);

  await view(page, "#/dead/letters", "Dead letters of letters");
  await click(page.getByRole("button", { name: /^Republish [^a]/ }));
  await click(page.getByRole("button", { name: "Republish 3 messages" }));
  await page.getByText("3 messages republished: 3 to letters").waitFor();
  await click(page.getByRole("button", { name: "Close" }));
  await page.getByText("letters.dead is empty.").waitFor();
  await frame(AT_LAST);
  await checked("repaired");
  if (pictures !== undefined) {
    const picture = animated(frames);
    assert.ok(picture.length <= MOST_BYTES, `${picture.length} bytes`);
    writeFileSync(`${pictures}/repair.png`, picture);
  }
});
