import { sha256 } from '@orb/protocol';
import { join } from 'node:path';
import { z } from 'zod';

/*
 * How the owner speaks to a running node on the same computer: one JSON object a line, each answered by one line,
 * over a socket that only the owner's user can open.
 */
export const controlRequestSchema = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('status') }),
  z.strictObject({
    command: z.literal('pause'),
    /** Jobs under way are given back at once, for others to run, whatever the settings say. */
    handBack: z.boolean().optional(),
  }),
  z.strictObject({ command: z.literal('resume') }),
  /** Finishes what is running, then leaves. Answered at once. */
  z.strictObject({ command: z.literal('stop') }),
  /** New values of the owner's settings by name; `null` brings the default back. Holds from now on, over restarts too. */
  z.strictObject({ command: z.literal('set'), settings: z.record(z.string(), z.unknown()) }),
]);
export type ControlRequest = z.output<typeof controlRequestSchema>;

/** Longest line in either direction, bytes. */
export const controlLineBytes = { request: 1_048_576, answer: 4_194_304 } as const;

/** Where a node with this data folder listens: a socket in a folder of its own, a named pipe on Windows. */
export function controlAddress(dataFolder: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\orb-node-${sha256(dataFolder).slice(0, 16)}`;
  return join(dataFolder, 'control', 'node.sock');
}
