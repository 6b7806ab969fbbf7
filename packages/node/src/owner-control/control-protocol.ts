import { sha256 } from '@orb/protocol';
import { join } from 'node:path';
import { z } from 'zod';

/*
 * How the owner speaks to a running node on the same computer: one JSON object a line, each answered by one line,
 * over a socket that only the owner's user can open.
 */
export const controlRequestSchema = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('status') }),
  z.strictObject({ command: z.literal('pause') }),
  z.strictObject({ command: z.literal('resume') }),
  /** Finishes what is running, then leaves. Answered at once. */
  z.strictObject({ command: z.literal('stop') }),
  /** Holds until the node stops: its configuration is what it starts with. */
  z.strictObject({
    command: z.literal('set'),
    slots: z.int().optional(),
    memoryMiB: z.int().optional(),
    /** Base units per MiB·ms. */
    rate: z
      .string()
      .regex(/^(0|[1-9]\d{0,24})$/)
      .optional(),
  }),
]);
export type ControlRequest = z.output<typeof controlRequestSchema>;

/** Longest line in either direction, bytes. */
export const controlLineBytes = { request: 4_096, answer: 1_048_576 } as const;

/** Where a node with this data folder listens: a socket in a folder of its own, a named pipe on Windows. */
export function controlAddress(dataFolder: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\orb-node-${sha256(dataFolder).slice(0, 16)}`;
  return join(dataFolder, 'control', 'node.sock');
}
