import { OrbError } from './errors.ts';

/** Base units in one credit. */
export const unitsPerCredit = 1_000_000_000n;

/** No balance or amount exceeds this: far above any supply, far below what an engine's numbers could spoil. */
export const maxUnits = 10n ** 24n;

/** An amount of base units as it stands in JSON: a decimal string without sign or leading zero. */
export type Units = string;

/** True for the text of a whole, non-negative number within {@link maxUnits}. */
export function isUnits(text: unknown): text is Units {
  return typeof text === 'string' && /^(0|[1-9]\d{0,24})$/.test(text) && (text.length < 25 || BigInt(text) <= maxUnits);
}

/** @throws OrbError `invalid-amount` unless the text is a whole, non-negative number within {@link maxUnits} */
export function parseUnits(text: unknown): bigint {
  if (isUnits(text)) return BigInt(text);
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 64)) : `A value of type ${typeof text}`;
  throw new OrbError('invalid-amount', {
    message: `${shown} is not an amount in base units.`,
    hint: `Base units are a decimal string without sign or leading zero, at most ${maxUnits}.`,
  });
}

/** `12.5` (credits) → base units. @throws OrbError `invalid-amount` for signs, exponents and more than nine decimals */
export function parseCredits(text: string): bigint {
  const match = /^\s{0,8}(\d{1,15})(?:\.(\d{1,9}))?\s{0,8}$/.exec(text);
  if (!match) {
    throw new OrbError('invalid-amount', {
      message: `${JSON.stringify(text.slice(0, 64))} is not an amount of credits.`,
      hint: 'Write a positive number with at most nine decimals, such as 12.5.',
    });
  }
  return BigInt(match[1]!) * unitsPerCredit + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** Base units → credits without trailing zeros, such as `12.5`. */
export function formatCredits(units: bigint): string {
  const sign = units < 0n ? '-' : '';
  const positive = units < 0n ? -units : units;
  const fraction = (positive % unitsPerCredit).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${positive / unitsPerCredit}${fraction && `.${fraction}`}`;
}

/** Billed milliseconds: run time rounded up to whole milliseconds. */
export function billedMs(runUs: number): number {
  return Math.ceil(runUs / 1000);
}

/** Cost in base units: billed milliseconds × the manifest's memory limit in MiB × the rate per MiB·ms. */
export function costOf(runUs: number, memoryMiB: number, rate: bigint): bigint {
  // Far below what a number holds exactly (limits.jobMicroseconds, limits.memoryMiB), and one BigInt less.
  return BigInt(billedMs(runUs) * memoryMiB) * rate;
}

/** Basis points in the whole. */
export const basisPoints = 10_000n;

/** A share in basis points, rounded down, so that the shares of one amount never exceed it. */
export function shareOf(units: bigint, shareBps: number): bigint {
  return (units * BigInt(shareBps)) / basisPoints;
}
