import { behindDeno } from '../test/escape/behind-deno.ts';
import { containerJob } from '../test/escape/container-job.ts';
import { containerServer } from '../test/escape/container-server.ts';
import { javascript } from '../test/escape/javascript.ts';
import { isAttempt, tries, type Attempt, type Column, type Proof, type Try } from '../test/escape/tries.ts';
import { webAssembly } from '../test/escape/web-assembly.ts';

interface Runtime {
  readonly name: string;
  readonly tiers: string;
  readonly suite: string;
  readonly column: Column;
}

const runtimes: readonly Runtime[] = [
  {
    name: 'JavaScript and TypeScript',
    tiers: 'tier `namespaces`; the first way of each once more in tier `process`, where the same layers stop it',
    suite: 'deno/escape-javascript.integration.test.ts',
    column: javascript,
  },
  {
    name: 'WebAssembly',
    tiers: 'tier `namespaces`; the first way of each once more in tier `process`, where the same layers stop it',
    suite: 'deno/escape-web-assembly.integration.test.ts',
    column: webAssembly,
  },
  {
    name: 'a container’s job',
    tiers: 'tier `container`; the first way of each once more with gVisor as the runtime',
    suite: 'container/escape-containers.integration.test.ts',
    column: containerJob,
  },
  {
    name: 'a container’s server',
    tiers: 'tier `container`; gVisor runs jobs alone',
    suite: 'container/escape-containers.integration.test.ts',
    column: containerServer,
  },
];

const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
const unique = (words: readonly string[]) => [...new Set(words)].join('; ');

/** `docs/security/escapes.md`: the list of what is tried, what stops it, and the test of each. */
export function escapesPage(): string {
  return [
    '# What code may try, and what stops it',
    '<!-- Made by `npm run docs` from the code. -->',
    'Each cell names the layers that stop a try; [below](#every-way) stands every way in which it is tried. The same lists are what the tests run: an empty cell does not compile. For every way a test asks three things: is it **stopped**, is the caller **told why** by an outcome and words, and are **others served** by the same node before, meanwhile and after. What each layer is, and what is not promised, says [the sandbox](sandbox.md).',
    table(
      ['try', ...runtimes.map(({ name }) => name)],
      tries.map((what) => [what, ...runtimes.map(({ column }) => summaryOf(column[what]))]),
    ),
    '## Behind a hole in Deno',
    'The ways that Deno’s permissions stop, once more with all of them granted (tests in `packages/sandbox/src/deno/escape-behind-deno.integration.test.ts`). Bombs, loops and floods need no permission: the tables below hold as they are.',
    table(
      ['try', 'way', 'stopped by'],
      behindDeno.map(([what, way, , layer]) => [what, way, layer]),
    ),
    '## Every way',
    'A test is named for its try, its way and its layer.',
    ...runtimes.flatMap(waysOf),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

function summaryOf(cell: Column[Try]): string {
  return typeof cell === 'string' ? `*${cell}*` : unique(cell.map(({ layer }) => layer));
}

function waysOf({ name, tiers, suite, column }: Runtime): readonly string[] {
  const rows = tries.flatMap((what) => {
    const cell = column[what];
    return typeof cell === 'string' ? [] : cell.map((each) => [what, wayOf(each), each.layer, endOf(each)]);
  });
  return [
    `### ${name[0]!.toUpperCase()}${name.slice(1)}`,
    `In ${tiers}. Tests in \`packages/sandbox/src/${suite}\`, and where a test is named, beside it.`,
    table(['try', 'way', 'stopped by', 'the caller is told'], rows),
  ];
}

function wayOf(each: Attempt | Proof): string {
  return isAttempt(each) ? (each.name ?? '') : `test “${each.test}”`;
}

function endOf(each: Attempt | Proof): string {
  if (!isAttempt(each)) return 'see the test';
  const { outcome = 'function-failed', loads } = each;
  if (loads !== undefined) return `\`${loads}\`, before any call`;
  if (outcome === 'ok') return 'an answer: it gets nothing that is not its own';
  const outcomes = typeof outcome === 'string' ? [outcome] : outcome.source.split('|');
  return outcomes.map((one) => `\`${one}\``).join(' or ');
}
