import { relativeRange, type Spread } from '../measure/statistics.ts';

/** 12,345 */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** Three digits that mean something: 0.123, 1.23, 12.3, 123. */
export function short(value: number): string {
  if (value === 0) return '0';
  return value >= 100 ? count(value) : value.toPrecision(3).replace(/^0\./, '.');
}

/** `median (min–max)` */
export function withRange({ median, min, max }: Spread, print: (value: number) => string): string {
  return min === max ? print(median) : `${print(median)} (${print(min)}–${print(max)})`;
}

export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(fraction < 0.1 ? 1 : 0)} %`;
}

/** How far a figure moved from round to round: half its range, over its median. */
export function plusMinus(spread: Spread): string {
  return `±${percent(relativeRange(spread) / 2)}`;
}
