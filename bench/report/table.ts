/** A table as data. Columns of figures are set flush right, columns of words flush left. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** For a terminal: aligned columns under a title. */
export function terminalTable(table: Table): string {
  const { title, columns, rows } = table;
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((cells) => cells[index]?.length ?? 0)));
  const pad = (cell: string, index: number) =>
    isFigures(table, index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0);
  const line = (cells: readonly string[]) => cells.map(pad).join('  ').trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [title, rule, line(columns), rule, ...rows.map(line), ''].join('\n');
}

/** For Markdown. */
export function markdownTable(table: Table): string {
  const { title, columns, rows } = table;
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${columns.map((_, index) => (isFigures(table, index) ? '---:|' : '---|')).join('')}`;
  return [`**${title}**`, '', line(columns), rule, ...rows.map(line), ''].join('\n');
}

function isFigures({ rows }: Table, index: number): boolean {
  return rows.every((cells) => /^[\d.–±]/.test(cells[index] ?? ''));
}
