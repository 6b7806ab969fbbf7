import { cliReference } from '../packages/cli/reference/cli-reference.ts';
import { errorsReference } from '../packages/protocol/reference/errors-reference.ts';
import { limits } from '../packages/protocol/src/index.ts';

/** Pages made from the code, by path: `npm run docs` writes them and a test compares them. */
export function referenceDocs(): Record<string, string> {
  return {
    'docs/reference/cli.md': cliReference(),
    'docs/reference/errors.md': errorsReference(),
    'docs/reference/limits.md': limitsPage(),
  };
}

const made = '<!-- Made by `npm run docs` from the code. -->';

function limitsPage(): string {
  const rows = Object.entries(limits).map(([name, value]) => row([`\`${name}\``, ...bounds(value)]));
  return page('Limits', [
    'Bytes unless the name says otherwise; every bound is inclusive. The reasons stand beside the numbers in [limits.ts](../../packages/protocol/src/limits.ts).',
    [row(['limit', 'at least', 'at most', 'default']), row(['---', '---', '---', '---']), ...rows].join('\n'),
  ]);
}

function bounds(value: number | { min: number | bigint; max: number | bigint; default: number | bigint }): string[] {
  return typeof value === 'number' ? ['', digits(value), ''] : [digits(value.min), digits(value.max), digits(value.default)];
}

function digits(value: number | bigint): string {
  return value.toLocaleString('en-US');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function page(title: string, parts: readonly string[]): string {
  return `${[`# ${title}`, made, ...parts].join('\n\n')}\n`;
}
