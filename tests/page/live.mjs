// Deliveries as they are settled: shown, chosen by consumer, outcome and header, stopped, and copied as a test file.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { checked, onPage, view } from "./page.mjs";

await onPage(async (page, context) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const deliveries = page.getByRole("table", { name: "Deliveries" });
  const row = (id) => deliveries.getByRole("row").filter({ has: page.getByRole("button", { name: id, exact: true }) });
  const watches = () => page.getByRole("status").getByText("watching this host").waitFor();

  await view(page, "#/live", "Live");
  await watches();
  await checked("watching");
  await row("o-1").getByText("acked").waitFor();
  await row("o-1").getByText("stdout | out says tea").waitFor();
  await row("o-2").getByText(/retry in 1 h: cannot take tea/).waitFor();
  await row("o-3").getByText("publish 1 to out").waitFor();

  // A message is shown with its headers and its body, as text.
  await page.getByRole("button", { name: "<b>x-1</b>", exact: true }).click();
  assert.equal(await page.getByLabel("Body").textContent(), '<script>alert("body")</script>\u001b[2J');
  assert.equal(await page.locator("main img, main script, main b, main i").count(), 0);

  // It becomes a case of a test file.
  await page.getByRole("button", { name: "o-3", exact: true }).click();
  await page.getByText("acme").waitFor();
  await page.getByRole("button", { name: "As a test file…" }).click();
  const dialog = page.getByRole("dialog");
  const file = await dialog.getByLabel("Test file").inputValue();
  await dialog.getByRole("button", { name: "Copy" }).click();
  await dialog.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), file);
  writeFileSync(`${process.env.HIVE_PAGE_FOLDER}/parcels.test.toml`, file);
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "o-2", exact: true }).click();
  await page.getByRole("button", { name: "As a test file…" }).click();
  writeFileSync(`${process.env.HIVE_PAGE_FOLDER}/orders.test.toml`, await dialog.getByLabel("Test file").inputValue());
  await dialog.getByRole("button", { name: "Close" }).click();
  await checked("copied");

  // What is watched is chosen, and begins again.
  await page.getByLabel("Outcome").selectOption("failed");
  await watches();
  await checked("failed alone");
  await row("o-5").getByText(/cannot take sugar/).waitFor();
  assert.equal(await row("o-4").count(), 0);
  await page.getByLabel("Outcome").selectOption("");
  await page.getByLabel("Consumer").selectOption("parcels");
  await page.getByLabel("Condition").fill("header:tenant=acme");
  await page.getByRole("button", { name: "Add the condition" }).click();
  await watches();
  await checked("of one tenant");
  await row("o-7").waitFor();
  assert.equal(await deliveries.getByRole("row").count(), 2);

  // A condition that makes no sense is refused, and said so.
  await page.getByLabel("Condition").fill("clas=error");
  await page.getByRole("button", { name: "Add the condition" }).click();
  await page.getByRole("alert").getByText(/did you mean `class`/).waitFor();
  await page.getByRole("button", { name: "Take off clas=error" }).click();
  await watches();

  // What is stopped shows nothing more, until it is watched again.
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("status").getByText("stopped").waitFor();
  await checked("stopped");
  await page.getByRole("button", { name: "Watch" }).click();
  await watches();
  await checked("watching again");
  await row("o-9").waitFor();
  assert.equal(await row("o-8").count(), 0);
});
