// On call: from the number of dead letters to the cause in three clicks, from the new code to an empty queue in four.
import { checked, onPage, view } from "./page.mjs";

await onPage(async (page) => {
  await page.getByRole("link", { name: "3 dead letters of letters" }).click();
  await page.getByRole("button", { name: /^Messages of/ }).click();
  await page.getByRole("button", { name: "o-1" }).click();
  await page.getByText(/cannot take tea/).first().waitFor();
  await checked("found");

  await page.getByRole("link", { name: "Components" }).click();
  await page.getByRole("button", { name: "New code for fail" }).click();
  await page.getByLabel(/A component/).setInputFiles(process.env.HIVE_PAGE_CODE);
  await page.getByRole("button", { name: "Swap", exact: true }).click();
  await page.getByText("Generation 2 serves now.").waitFor();

  await view(page, "#/dead/letters", "Dead letters of letters");
  await page.getByRole("button", { name: /^Republish [^a]/ }).click();
  await page.getByRole("button", { name: "Republish 3 messages" }).click();
  await page.getByText("3 messages republished: 3 to letters").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("letters.dead is empty.").waitFor();
  await checked("repaired");
});
