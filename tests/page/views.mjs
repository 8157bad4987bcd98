// Every view, light and dark, wide and narrow: what axe says, whether it fits, and a picture where those are asked for.
import assert from "node:assert/strict";
import { checked, onPage, view, violations } from "./page.mjs";

const VIEWS = [
  ["overview", "#/overview", "Overview"],
  ["consumer", "#/consumers/letters", "letters"],
  ["live", "#/live", "Live"],
  ["dead-letters", "#/dead/letters", "Dead letters of letters"],
  ["components", "#/components", "Components"],
  ["topology", "#/topology/queue%2Fmain%2Fletters", "Topology"],
  ["topology-all", "#/topology", "Topology"],
  ["hosts", "#/hosts", "Hosts"],
  ["audit", "#/audit", "Audit"],
];
const SIZES = [
  ["wide", { width: 1280, height: 800 }],
  ["narrow", { width: 390, height: 844 }],
];
const pictures = process.env.HIVE_PAGE_PICTURES;

/** What has to be there before a view is looked at. */
async function settled(page, name) {
  switch (name) {
    case "overview":
      await page.getByRole("row", { name: /^letters/ }).getByText("consuming").waitFor();
      await page.getByRole("alert").getByText(/parcels/).first().waitFor();
      break;
    case "consumer":
      await page.getByText("Throughput").waitFor();
      await page.getByRole("heading", { name: "Last failures" }).waitFor();
      break;
    case "live":
      await page.getByRole("status").getByText("watching this host").waitFor();
      await checked("live");
      await page.getByRole("button", { name: /^live-/ }).first().click();
      await page.getByRole("button", { name: "As a test file…" }).waitFor();
      break;
    case "dead-letters":
      await page.getByText(/messages in letters.dead/).waitFor();
      break;
    case "components":
      await page.getByText(/2 import|import/).first().waitFor();
      break;
    case "topology":
      await page.getByRole("link", { name: /^consumer letters, consuming/ }).waitFor();
      break;
    case "topology-all":
      await page.getByRole("link", { name: /queue parcels, problem: / }).waitFor();
      break;
    case "hosts":
      await page.getByText(/in no group/).waitFor();
      break;
    case "audit":
      await page.getByRole("rowheader", { name: "pause letters" }).first().waitFor();
      break;
  }
}

await onPage(async (page) => {
  const wrong = [];
  const look = async (name, colours, size) => {
    // Colours and sizes do not meet: a narrow page has the colours of a wide one.
    if (colours === "light" || size === "wide") {
      const found = await violations(page);
      wrong.push(...found.map((text) => `${name}, ${colours}, ${size}: ${text}`));
    }
    const [inside, outside] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    if (inside > outside) wrong.push(`${name}, ${size}: ${inside} pixels in ${outside}`);
    // Each view twice is enough for a reader, and half of the bytes. A host in no group has nothing to show of hosts.
    const isPictured = (colours === "light") === (size === "wide") && name !== "hosts" && name !== "topology-all";
    if (pictures !== undefined && isPictured) {
      await page.screenshot({ path: `${pictures}/${name}-${colours}-${size}.png`, animations: "disabled" });
    }
  };
  for (const colours of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: colours });
    for (const [size, viewport] of SIZES) {
      await page.setViewportSize(viewport);
      for (const [name, hash, heading] of VIEWS) {
        await view(page, hash, heading);
        await settled(page, name);
        await look(name, colours, size);
        if (name === "dead-letters") {
          await page.getByRole("button", { name: /^Messages of order/ }).click();
          await page.getByRole("button", { name: "o-17" }).click();
          await page.getByRole("heading", { name: "Message o-17" }).waitFor();
          await look("message", colours, size);
          await page.getByRole("button", { name: "Edit…" }).click();
          await page.getByRole("dialog").waitFor();
          await look("edit", colours, size);
          await page.getByRole("button", { name: "Cancel" }).click();
        }
      }
    }
  }
  assert.deepEqual(wrong, []);

  // The keyboard reaches the content past the navigation, and moves on from there.
  await view(page, "#/overview", "Overview");
  await page.getByRole("link", { name: "Skip to the content" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await page.getByRole("link", { name: "letters", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "letters" }).waitFor();

  // The choice of colours is remembered.
  await page.getByRole("button", { name: /Light colours/ }).click();
  await page.reload();
  await page.getByRole("button", { name: /Dark colours/ }).waitFor();
});
