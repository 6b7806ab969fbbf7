import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { OrbError, ordererChangeSchema, ordererStandSchema, parseWith, hex32, hex64, type OrdererCertificate } from '@orb/protocol';
import { z } from 'zod';

/** A change of the orderer on its way from one operator to the next: a certificate that may still lack votes. */
const fileSchema = z.strictObject({
  v: z.literal(1),
  type: z.literal('orb-orderer-change'),
  change: ordererChangeSchema,
  stand: ordererStandSchema,
  votes: z.array(z.strictObject({ key: hex32, signature: hex64 })).max(200),
});

const fileBytes = 8 * 1024 * 1024;

/** @throws OrbError `invalid-request` when it cannot be read, `not-supported` for a later format */
export async function readChangeFile(path: string): Promise<OrdererCertificate> {
  let value: { v?: unknown };
  try {
    if ((await stat(path)).size > fileBytes) throw new Error('it is too large');
    value = JSON.parse(await readFile(path, 'utf8')) as { v?: unknown };
  } catch (cause) {
    throw new OrbError('invalid-request', {
      message: `${path} cannot be read: ${(cause as Error).message}`,
      hint: 'Make it with orb ledger orderer propose.',
      cause,
    });
  }
  if (typeof value.v === 'number' && value.v > 1) {
    throw new OrbError('not-supported', {
      message: `${path} is of format ${value.v}; this program knows format 1.`,
      hint: 'Use a newer version of Orb.',
    });
  }
  const { change, stand, votes } = parseWith(fileSchema, value, path);
  return { change, stand, votes };
}

export async function writeChangeFile(path: string, { change, stand, votes }: OrdererCertificate): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify({ v: 1, type: 'orb-orderer-change', change, stand, votes }, null, 1)}\n`);
  await rename(`${path}.new`, path);
}

/**
 * One certificate of several that peers have signed apart, without the records that none of the votes needs.
 * @throws OrbError `conflict` when they are not of one change
 */
export function mergeChanges(files: readonly OrdererCertificate[]): OrdererCertificate {
  const [first, ...others] = files;
  const { change, stand } = first!;
  if (others.some((other) => JSON.stringify(other.change) !== JSON.stringify(change))) {
    throw new OrbError('conflict', {
      message: 'These files are of different changes.',
      hint: 'Give those of one: orb ledger orderer propose makes one file, which all sign.',
    });
  }
  const votes = [...new Map(files.flatMap((file) => file.votes).map((vote) => [vote.key, vote])).values()];
  const isNeeded = (key: string, text: string) => key.startsWith('parameters') || votes.some((vote) => text.includes(vote.key));
  return { change, stand: { ...stand, records: stand.records.filter(({ key, text }) => isNeeded(key, text)) }, votes };
}
