import { limits } from './limits.ts';
import { errorName, headerNamePattern, headerValuePattern, methodPattern, pathPattern } from './messages.ts';

/* Parts of the messages that every call has, checked by hand (docs/decisions/0180). */

/** Whether headers are as `headerPairs` of the messages' schemas has them. */
export function areHeaders(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.headersCount) return false;
  let chars = 0;
  for (let i = 0; i < value.length; i++) {
    const pair: unknown = value[i];
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    const name: unknown = pair[0];
    const text: unknown = pair[1];
    if (typeof name !== 'string' || typeof text !== 'string') return false;
    if (!headerNamePattern.test(name) || !headerValuePattern.test(text)) return false;
    chars += name.length + text.length;
  }
  return chars <= limits.headersBytes;
}

/** Whether a value is an object with fields. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value is a whole number within bounds, each inclusive. */
export function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

/** Whether an object has so many fields, those without a value included. */
export function hasFields(value: object, count: number): boolean {
  return Object.keys(value).length === count;
}

/** Whether method, path, headers and mode of a call are good. */
export function isCallHead({ method, path, headers, mode }: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof method === 'string' &&
    methodPattern.test(method) &&
    typeof path === 'string' &&
    path.length <= limits.pathBytes &&
    pathPattern.test(path) &&
    (mode === 'http' || mode === 'event') &&
    areHeaders(headers)
  );
}

/** How many of `error` and `errorType` there are; undefined when one is not good. */
export function areWords({ error, errorType }: Readonly<Record<string, unknown>>): number | undefined {
  let words = 0;
  if (error !== undefined) {
    if (typeof error !== 'string' || error.length > limits.errorMessageChars) return undefined;
    words++;
  }
  if (errorType !== undefined) {
    if (typeof errorType !== 'string' || !errorName.test(errorType)) return undefined;
    words++;
  }
  return words;
}
