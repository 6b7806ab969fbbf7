import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cliReference } from '../packages/cli/reference/cli-reference.ts';
import { errorsReference } from '../packages/protocol/reference/errors-reference.ts';
import { escapesPage } from '../packages/sandbox/reference/escapes-page.ts';
import { limits } from '../packages/protocol/src/index.ts';

/** Pages made from the code, by path: `npm run docs` writes them and a test compares them. */
export function referenceDocs(): Record<string, string> {
  return {
    'docs/reference/cli.md': cliReference(),
    'docs/reference/errors.md': errorsReference(),
    'docs/reference/limits.md': limitsPage(),
    'docs/decisions/README.md': decisionsPage(),
    'docs/security/escapes.md': escapesPage(),
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

/** The index of decisions: each page's own heading, `# NUMBER. What was decided`. */
function decisionsPage(): string {
  const folder = join(import.meta.dirname, '../docs/decisions');
  const names = readdirSync(folder).filter((name) => /^\d{4}-/.test(name));
  const lines = names.toSorted().map((name) => {
    const heading = /^# (\d+\. .+)$/m.exec(readFileSync(join(folder, name), 'utf8'))?.[1];
    if (heading === undefined || Number.parseInt(heading, 10) !== Number(name.slice(0, 4)))
      throw new Error(`docs/decisions/${name} must begin with "# ${Number(name.slice(0, 4))}. What was decided".`);
    return `- [${heading}](${name})`;
  });
  return page('Decisions', [
    'One page for each real choice: what, why, instead of what, and when to look again. Figures are from Debian 12 with 2 shared cores: read ratios, not absolutes.',
    lines.join('\n'),
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
