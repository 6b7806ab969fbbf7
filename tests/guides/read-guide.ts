import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One thing that a guide tells its reader to type, and what it says will be seen. */
export interface Step {
  /** `run` ends by itself; `leave` goes on while the reader reads on, once what is shown has been seen. */
  readonly kind: 'run' | 'leave';
  readonly script: string;
  /** Lines in their order; `…` stands for anything within a line. */
  readonly shown: readonly string[];
  /** Where it stands, for messages. */
  readonly place: string;
}

/**
 * The steps of a page: its blocks ```` ```sh run ```` and ```` ```sh run-and-leave ````, each with the block
 * ```` ```text output ```` that follows it.
 */
export function readGuide(page: string): readonly Step[] {
  const text = readFileSync(fileURLToPath(new URL(`../../${page}`, import.meta.url)), 'utf8');
  const steps: Step[] = [];
  for (const { 1: info, 2: body, index } of text.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)) {
    const place = `${page}:${text.slice(0, index).split('\n').length}`;
    if (info === 'sh run' || info === 'sh run-and-leave') {
      steps.push({ kind: info === 'sh run' ? 'run' : 'leave', script: body!, shown: [], place });
    } else if (info === 'text output') {
      const last = steps.pop();
      if (!last) throw new Error(`${place} shows output of nothing.`);
      steps.push({ ...last, shown: body!.split('\n').filter((line) => line.trim() !== '') });
    } else if (/run|output/.test(info!)) {
      throw new Error(`${place} has an unknown mark: ${info}`);
    }
  }
  return steps;
}

/** The first line that is shown but was not seen, in this order; undefined when all were. */
export function firstMissing(shown: readonly string[], seen: string): string | undefined {
  let rest = seen;
  for (const line of shown) {
    const found = pattern(line).exec(rest);
    if (!found) return line;
    rest = rest.slice(found.index + found[0].length);
  }
  return undefined;
}

/** Columns may be wider than in the guide. */
function pattern(line: string): RegExp {
  const parts = line
    .trim()
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/ +/g, ' +'));
  return new RegExp(parts.join('[^\\n]*'));
}
