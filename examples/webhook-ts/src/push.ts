// A push as the code host's webhook tells it.

import { Reject } from '../../../guest-sdk/javascript/hive.js';

export interface Commit {
  id: string;
  message: string;
  files: string[];
}

export interface Push {
  repository: string;
  branch: string;
  commits: Commit[];
}

/** Reads a push out of JSON. What is none is rejected, with every fault named: it will be none next time. */
export function toPush(value: unknown): Push {
  const faults: string[] = [];
  const text = (from: Record<string, unknown>, key: string, path = key): string => {
    const found = from[key];
    if (typeof found === 'string' && found !== '') return found;
    faults.push(`${path} is missing or no text`);
    return '';
  };
  const list = (found: unknown, path: string): unknown[] => {
    if (Array.isArray(found)) return found;
    faults.push(`${path} is missing or no list`);
    return [];
  };
  const push = record(value);
  const read: Push = {
    repository: text(push, 'repository'),
    branch: text(push, 'ref').replace(/^refs\/heads\//, ''),
    commits: list(push.commits, 'commits').map((one, index) => {
      const commit = record(one);
      const path = `commits[${index}]`;
      return {
        id: text(commit, 'id', `${path}.id`),
        message: text(commit, 'message', `${path}.message`),
        files: list(commit.files, `${path}.files`).map(String),
      };
    }),
  };
  if (faults.length > 0) throw new Reject(faults.join('; '));
  return read;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
