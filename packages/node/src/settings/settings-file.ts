import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OrbError, parseWith } from '@orb/protocol';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';
import { checkSettings, settingsSchema, type SettingsInput } from './settings.ts';

const fileSchema = z.strictObject({ v: z.literal(1), settings: settingsSchema.partial() });
const maxBytes = 2_097_152;

/** Where a node's owner's settings stand. */
export function settingsPath(dataFolder: string): string {
  return join(dataFolder, 'settings.json');
}

/** What the owner has said; nothing where there is no file. @throws OrbError `invalid-request` for one that cannot be read */
export function readSettings(dataFolder: string): SettingsInput {
  const path = settingsPath(dataFolder);
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > maxBytes) throw new TypeError('it is too long');
    const value = JSON.parse(text) as { settings?: SettingsInput };
    parseWith(fileSchema, value, 'file');
    checkSettings(value.settings);
    // As it was said, so that a later default holds for what was left out.
    return value.settings!;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new OrbError('invalid-request', {
      message: `${path}, the settings of this node, cannot be read: ${(cause as Error).message}`,
      hint: 'Mend it, or move it away to begin with the defaults.',
      cause,
    });
  }
}

/** Whole or not at all. */
export async function writeSettings(dataFolder: string, settings: SettingsInput): Promise<void> {
  await replaceFile(settingsPath(dataFolder), `${JSON.stringify({ v: 1, settings }, null, 2)}\n`);
}
