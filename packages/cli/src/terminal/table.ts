import { stripVTControlCharacters } from 'node:util';
import type { Style } from './style.ts';

export interface Column {
  readonly title: string;
  /** @default left */
  readonly align?: 'left' | 'right';
  /** Narrowed first when the table is wider than the terminal. */
  readonly flexible?: boolean;
}

const gap = '  ';

/** Rows in aligned columns under quiet headings; wide flexible columns are cut with an ellipsis to fit `width`. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style, width: number): string {
  const widths = columns.map(({ title }, i) => Math.max(visible(title), ...rows.map((row) => visible(row[i] ?? ''))));
  fitWidths(columns, widths, width);
  const heading = columns.map(({ title, align }, i) => style.quiet(pad(title, widths[i]!, align))).join(gap);
  const lines = rows.map((row) => columns.map(({ align }, i) => pad(cut(row[i] ?? '', widths[i]!), widths[i]!, align)).join(gap));
  return [heading, ...lines].map((line) => line.trimEnd()).join('\n');
}

/** `name  value` lines with the names aligned. */
export function renderFacts(facts: readonly (readonly [name: string, value: string])[], style: Style, indent = ''): string {
  const width = Math.max(...facts.map(([name]) => visible(name)));
  return facts.map(([name, value]) => `${indent}${style.quiet(pad(name, width))}${gap}${value}`).join('\n');
}

/** Columns that a text takes, colours not counted. */
function visible(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}

export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - visible(text)));
  return align === 'right' ? space + text : text + space;
}

function cut(text: string, width: number): string {
  return visible(text) <= width
    ? text
    : `${Array.from(stripVTControlCharacters(text))
        .slice(0, width - 1)
        .join('')}…`;
}

function fitWidths(columns: readonly Column[], widths: number[], width: number): void {
  let excess = widths.reduce((sum, w) => sum + w, 0) + gap.length * (columns.length - 1) - width;
  for (let i = columns.length - 1; i >= 0 && excess > 0; i--) {
    if (!columns[i]!.flexible) continue;
    const saved = Math.min(excess, Math.max(0, widths[i]! - 8));
    widths[i]! -= saved;
    excess -= saved;
  }
}
