// A topology of a thousand consumers: searched, narrowed down, and drawn in part.
import assert from "node:assert/strict";
import { onPage, view, violations } from "./page.mjs";

await onPage(async (page) => {
  await view(page, "#/topology", "Topology");
  await page.getByText(/are too many for one picture/).waitFor();
  assert.equal(await page.locator("svg.way, .picture").count(), 0);
  assert.deepEqual(await violations(page), []);
  const rows = page.getByRole("row");
  assert.ok((await rows.count()) <= 51, "a page of them");
  const began = Date.now();
  await page.getByLabel("Search the topology").fill("tenant-0777");
  await page.getByLabel("Kind").selectOption("consumer");
  await page.getByRole("link", { name: "tenant-0777", exact: true }).click();
  await page.locator("svg").getByRole("link", { name: /^queue tenant-0777/ }).first().waitFor();
  // No figure to hold a machine to: whoever waits longer than this does not work with it.
  assert.ok(Date.now() - began < 30_000, `${Date.now() - began} ms`);
  const drawn = await page.locator("svg a").count();
  assert.ok(drawn > 3 && drawn <= 70, `${drawn} are drawn`);

  // One component has all of them: a part is drawn, and the rest is counted.
  await page.locator("svg").getByRole("link", { name: /^component .*ack/ }).click();
  await page.getByRole("heading", { level: 2, name: "component ack" }).waitFor();
  await page.locator("svg").getByRole("link", { name: /neighbours are not drawn/ }).first().waitFor();
  assert.ok((await page.locator("svg a").count()) <= 70);
  assert.deepEqual(await violations(page), []);
});
