import { join } from 'node:path';
import { OrbError, ordererCertificateSchema, parseWith, type OrdererCertificate } from '@orb/protocol';
import { z } from 'zod';
import { readIfThere, writeWhole } from '../embedded/folder.ts';

/** The newest change of the orderer that a copy has checked, in its folder: whether or not its block is here yet. */
const fileSchema = z.strictObject({ v: z.literal(1), certificate: ordererCertificateSchema });

function certificatePath(folder: string): string {
  return join(folder, 'orderer-change.json');
}

/** @param folder that of the ledger @throws OrbError `ledger-corrupt` */
export async function readCertificateFile(folder: string): Promise<OrdererCertificate | undefined> {
  const path = certificatePath(folder);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return parseWith(fileSchema, JSON.parse(text), path).certificate;
  } catch (cause) {
    throw new OrbError('ledger-corrupt', {
      message: `${path} is damaged.`,
      hint: 'Delete it: a change of the orderer is asked for again. The new orderer itself gets it by orb ledger orderer change FILE.',
      cause,
    });
  }
}

export async function writeCertificateFile(folder: string, certificate: OrdererCertificate): Promise<void> {
  await writeWhole(folder, 'orderer-change.json', JSON.stringify({ v: 1, certificate }));
}
