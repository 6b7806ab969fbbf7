import { z } from 'zod';
import { limits } from './limits.ts';
import { OrbError, type ErrorCode } from './errors.ts';
import { parseJobId } from './ids.ts';
import { isUnits } from './money.ts';
import { plainText } from './plain-text.ts';

/** Building blocks of every schema. Objects are strict: a field nobody knows is an error, not a surprise for later. */
export const hex32 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');
/** A signature. */
export const hex64 = z.string().regex(/^[0-9a-f]{128}$/, 'must be 128 lower-case hexadecimal digits');
/** An allowance or call id. */
export const hex16 = z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hexadecimal digits');
/** An amount of base units. */
export const units = z.string().refine(isUnits, 'must be base units: a decimal string without sign');
/** A job id. */
export const jobIdText = z.string().refine((text) => parseJobId(text) !== undefined, 'must be a job id: <allowance id>-<sequence>');
/** A number that counts from 1. */
export const sequence = z.int().min(1);
/** Milliseconds since 1970-01-01T00:00:00Z. */
export const instantMs = z.int().min(0).max(8_640_000_000_000_000);
/** Base units per MiB·ms, within limits.rate. */
export const rate = z
  .string()
  .refine((text) => isUnits(text) && BigInt(text) <= limits.rate.max, `must be base units, at most ${limits.rate.max}`);

const host = String.raw`([a-z0-9.-]{1,230}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?/?$`;
const address = (scheme: string) =>
  z
    .string()
    .regex(new RegExp(`^${scheme}s?://${host}`), `must be an address without a path, such as ${scheme}s://super.example:7443`)
    .refine((text) => URL.canParse(text), 'must be an address that a browser can read');
/** Where nodes dial: `wss://host:port`. Plain `ws` is for loopback; whoever dials decides. */
export const linkAddress = address('ws');
/** Where callers go: `https://host:port`. */
export const gatewayAddress = address('http');

/** Labels of a node, or those that a manifest asks for: at most 32, printable ASCII. */
export const labelsRecord = z
  .record(
    z.string().regex(/^[a-z0-9.-]{1,63}$/, 'must be 1 to 63 of a–z, 0–9, dots and hyphens'),
    z.string().regex(/^[\x20-\x7e]{0,63}$/, 'must be at most 63 printable ASCII characters'),
  )
  .refine((labels) => Object.keys(labels).length <= limits.labels, `must be at most ${limits.labels} labels`);

/** Name of a secret: a variable in capitals that is not the network's own. */
export const secretName = z
  .string()
  .regex(/^[A-Z_][A-Z0-9_]{0,63}$/, 'must be 1 to 64 of A–Z, 0–9 and _, and not begin with a digit')
  .refine((name) => !name.startsWith('ORB_'), 'must not begin with ORB_');

/** A list in which nothing stands twice. */
export function listOf<T extends z.ZodType>(item: T, min: number, max: number, keyOf: (item: z.output<T>) => unknown = (one) => one) {
  return z
    .array(item)
    .min(min)
    .max(max)
    .refine((items) => new Set(items.map(keyOf)).size === items.length, 'must not name anything twice');
}

/**
 * Checks what came over a boundary.
 * @param what names the thing in the message, such as `manifest`
 * @throws OrbError with `code`, naming each bad field and what is wrong with it
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, what: string, code: ErrorCode = 'invalid-request'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues
    .slice(0, 5)
    .map((issue) => plainText(`${[what, ...issue.path.map(String)].join('.')}: ${issue.message}`, 250));
  throw new OrbError(code, { message: faults.join('; ').slice(0, 1_000), details: { faults } });
}
