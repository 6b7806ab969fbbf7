/** A table as data; the first column holds names and is set flush left, the others flush right. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** For a terminal: aligned columns under a title. */
export function terminalTable({ title, columns, rows }: Table): string {
  const widths = columns.map((column, index) => Math.max(...[columns, ...rows].map((cells) => cells[index]?.length ?? column.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [title, rule, line(columns), rule, ...rows.map(line), ''].join('\n');
}

/** For Markdown. */
export function markdownTable({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    `**${title}**`,
    '',
    line(columns),
    `|---|${columns
      .slice(1)
      .map(() => '---:|')
      .join('')}`,
    ...rows.map(line),
    '',
  ].join('\n');
}
