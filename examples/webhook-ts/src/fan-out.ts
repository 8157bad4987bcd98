// One push in, one notice for each team whose files it changed out.

import { ack, publication, Reject } from '../../../guest-sdk/javascript/hive.js';
import type { Answer, Delivery } from '../../../guest-sdk/javascript/hive.js';
import { toPush } from './push.ts';
import type { Commit, Push } from './push.ts';

/** The component's configuration: `"owner.FOLDER" = "team"`. */
export type Settings = Record<string, string>;

export function fanOut(delivery: Delivery, settings: Settings): Answer {
  const push = read(delivery);
  const changed = byTeam(push, settings);
  if (changed.size === 0) return ack();
  return [...changed].map(([team, commits]) =>
    publication('pushes', `${team}.${push.repository}`, {
      json: { ...push, team, commits: commits.map(({ id, message }) => ({ id, title: message.split('\n')[0] })) },
      headers: { branch: push.branch, commits: commits.length },
    }),
  );
}

function read(delivery: Delivery): Push {
  let value: unknown;
  try {
    value = delivery.json();
  } catch (error) {
    throw new Reject(String(error));
  }
  return toPush(value);
}

/** The commits that concern each team: those with a file in a folder of its own, the deepest that is owned. */
function byTeam(push: Push, settings: Settings): Map<string, Commit[]> {
  const changed = new Map<string, Commit[]>();
  for (const commit of push.commits) {
    const owners = new Set(commit.files.map((file) => ownerOf(file, settings)).filter((team) => team !== undefined));
    for (const team of owners) changed.set(team, [...(changed.get(team) ?? []), commit]);
  }
  return changed;
}

function ownerOf(file: string, settings: Settings): string | undefined {
  const folders = file.split('/').slice(0, -1);
  for (let depth = folders.length; depth > 0; depth--) {
    const owner = settings[`owner.${folders.slice(0, depth).join('/')}`];
    if (owner !== undefined) return owner;
  }
  return settings['owner.'];
}
