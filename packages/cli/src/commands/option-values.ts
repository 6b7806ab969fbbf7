import { InvalidArgumentError } from 'commander';
import { isOrbError, parseCredits } from '@orb/protocol';

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** `256`, `256MiB`, `1GiB` → MiB. */
export function memory(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, digits, unit] = /^(\d{1,9})\s*(M|MiB|MB|G|GiB|GB)?$/i.exec(text) ?? [];
    const value = Number(digits) * (unit?.toUpperCase().startsWith('G') ? 1_024 : 1);
    if (!digits || value < min || value > max) throw new InvalidArgumentError(`It must be ${min} to ${max} MiB, such as 256 or 1GiB.`);
    return value;
  };
}

/** `500ms`, `10s`, `2m`, `30d` → milliseconds. A bare number is refused: who writes 5 means seconds, a program milliseconds. */
export function duration(min: number, max: number): (text: string) => number {
  const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
  return (text) => {
    if (/^\d{1,12}$/.test(text)) throw new InvalidArgumentError(`Say the unit: ${text}s for seconds, ${text}ms for milliseconds.`);
    const [, digits, unit] = /^(\d{1,12})\s*(ms|s|m|h|d)$/.exec(text) ?? [];
    const value = Number(digits) * unitMs[unit as keyof typeof unitMs];
    if (!digits || value < min || value > max) throw new InvalidArgumentError(`It must be ${min} to ${max} ms, such as 500ms, 10s or 2m.`);
    return value;
  };
}

/** `12.5` credits → base units. */
export function credits(text: string): bigint {
  try {
    return parseCredits(text);
  } catch (error) {
    throw new InvalidArgumentError(isOrbError(error) ? (error.hint ?? error.message) : 'It is not an amount.');
  }
}

/** Base units per MiB·ms. */
export function baseUnits(max: bigint): (text: string) => bigint {
  return (text) => {
    if (!/^\d{1,20}$/.test(text) || BigInt(text) > max)
      throw new InvalidArgumentError(`It must be a whole number of base units up to ${max}.`);
    return BigInt(text);
  };
}

/** `2`, `0.5` cores. */
export function cores(text: string): number {
  const value = Number(text);
  if (!/^\d{1,4}(\.\d{1,2})?$/.test(text) || value < 0.1 || value > 1_024) throw new InvalidArgumentError('It must be 0.1 to 1024.');
  return value;
}

/** `NAME=VALUE`, gathered from each time the option is given. */
export function variables(text: string, before?: unknown): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  return { ...(typeof before === 'object' ? before : {}), [text.slice(0, at)]: text.slice(at + 1) };
}

/** `api.example.com,example.org:8443`, `public`, or `none`. The manifest says which are hosts. */
export function networkHosts(text: string): readonly string[] {
  return text === 'none' ? [] : text.split(',').map((part) => part.trim());
}

/** `API_KEY,TOKEN`, or `none`. The manifest says which are names. */
export function secretNames(text: string): readonly string[] {
  return text === 'none' ? [] : text.split(',').map((part) => part.trim());
}
