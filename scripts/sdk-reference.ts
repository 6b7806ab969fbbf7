import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from './pack-parts.ts';

/*
 * docs/reference/sdk.md, made from what `@orb/sdk` exports: its declarations as the compiler writes them, each with the
 * comment that stands before it (docs/decisions/0192). The declarations of one compiler have one form, so lines are enough
 * to find their parts.
 */

/** A comment: its words, and its tags in their order. */
interface Comment {
  readonly text: string;
  readonly tags: readonly { readonly name: string; readonly text: string }[];
}

interface Member {
  readonly name: string;
  readonly signature: string;
  readonly comment: Comment;
}

interface Declaration {
  readonly kind: 'class' | 'interface' | 'function' | 'type' | 'const';
  readonly name: string;
  readonly signature: string;
  readonly comment: Comment;
  readonly members: readonly Member[];
}

/** The whole page. */
export function sdkReference(): string {
  const folder = mkdtempSync(join(tmpdir(), 'orb-sdk-reference-'));
  try {
    compile(['sdk', 'link', 'protocol'], join(folder, 'out'), { declaration: true, emitDeclarationOnly: true });
    const declarations = readAll(join(folder, 'out'));
    const names = exportedNames(readFileSync(join(folder, 'out/sdk/src/index.d.ts'), 'utf8'));
    return page(names.flatMap((name) => declarations.get(name) ?? []));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readAll(out: string): Map<string, Declaration> {
  const found = new Map<string, Declaration>();
  for (const room of ['protocol', 'sdk']) {
    const folder = join(out, room, 'src');
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()) {
      if (!file.endsWith('.d.ts') || /crypto\/browser/.test(file)) continue;
      for (const declaration of readDeclarations(readFileSync(join(folder, file), 'utf8'))) found.set(declaration.name, declaration);
    }
  }
  return found;
}

/** What an index exports, in its order. */
function exportedNames(index: string): string[] {
  const lists = [...index.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, list]) => list!);
  return lists.flatMap((list) => list.split(',').map((name) => name.trim().replace(/^type /, ''))).filter(Boolean);
}

const start = /^export (?:declare )?(?:abstract )?(class|interface|function|type|const) (\w+)/;

function readDeclarations(text: string): Declaration[] {
  const lines = text.split('\n');
  const found: Declaration[] = [];
  for (let i = 0; i < lines.length; i++) {
    const [, kind, name] = start.exec(lines[i]!) ?? [];
    if (kind === undefined || name === undefined) continue;
    const end = endOf(lines, i, '');
    const comment = commentBefore(lines, i);
    const hasMembers = kind === 'class' || kind === 'interface';
    const signature = hasMembers ? lines[i]!.replace(/ \{\}?$/, '') : lines.slice(i, end + 1).join('\n');
    found.push({
      kind: kind as Declaration['kind'],
      name,
      signature: signature.replace(/^export (declare )?/, ''),
      comment,
      members: hasMembers ? readMembers(lines.slice(i + 1, end)) : [],
    });
    i = end;
  }
  return found;
}

/** Where a declaration that begins at a line of this indent ends. */
function endOf(lines: readonly string[], from: number, indent: string): number {
  if (/[;}]$/.test(lines[from]!)) return from;
  const end = lines.findIndex((line, i) => i > from && line.startsWith(`${indent}}`));
  return end === -1 ? from : end;
}

function readMembers(lines: readonly string[]): Member[] {
  const members: Member[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (!/^ {4}[\w[]/.test(line)) continue;
    const end = endOf(lines, i, '    ');
    const signature = lines
      .slice(i, end + 1)
      .map((one) => one.slice(4))
      .join('\n')
      .replace(/;$/, '');
    const name = /^(?:(?:readonly|static|get|set) )*(\[[^\]]+\]|\w+)/.exec(signature)?.[1] ?? '';
    const hidden = /^(private|protected|#|static )/.test(signature);
    if (!hidden && name !== '') members.push({ name, signature: plain(signature), comment: commentBefore(lines, i) });
    i = end;
  }
  return members;
}

/** A getter reads like a field. */
function plain(signature: string): string {
  return signature.replace(/^readonly /, '').replace(/^get (\w+)\(\)/, '$1');
}

function commentBefore(lines: readonly string[], at: number): Comment {
  if (!lines[at - 1]?.trimEnd().endsWith('*/')) return { text: '', tags: [] };
  let from = at - 1;
  while (from > 0 && !lines[from]!.trimStart().startsWith('/**')) from--;
  const words = lines
    .slice(from, at)
    .map((line) =>
      line
        .trim()
        .replace(/^\/\*\*+ ?/, '')
        .replace(/\*\/$/, '')
        .replace(/^\* ?/, ''),
    )
    .join('\n');
  return readComment(words);
}

/** Tags begin a line, or follow a sentence on the same one; what stands in a block of code is code. */
function readComment(words: string): Comment {
  const tags: { name: string; text: string }[] = [];
  const parts = words.split(/(?:^|(?<=[\s.]))@(example|param|throws|returns|default)\b/m);
  for (let i = 1; i < parts.length; i += 2) tags.push({ name: parts[i]!, text: tidy(parts[i + 1]!) });
  return { text: tidy(parts[0]!), tags };
}

function tidy(text: string): string {
  return text.replaceAll(/\{@link (?:[\w.]+\.)?(\w+)\}/g, '`$1`').trim();
}

const paragraph = (text: string) => text.replaceAll(/(?<!\n)\n(?!\n|[ -])/g, ' ');

function page(declarations: readonly Declaration[]): string {
  const classes = declarations.filter(({ kind }) => kind === 'class');
  const functions = declarations.filter(({ kind }) => kind === 'function');
  const types = declarations.filter(({ kind }) => kind === 'interface' || kind === 'type');
  const first = (name: string) => (name === 'Orb' ? 0 : 1);
  const parts = [
    '# SDK',
    '<!-- Made by `npm run docs` from the comments of packages/sdk. -->',
    '`@orb/sdk` calls and owns functions from code: Node 20.19 or later, and browsers. `npm run tarball` makes its package. Every example here is run by a test, against a network with the functions `demo/hello`, `demo/count` and `demo/web`.',
    ...classes.toSorted((a, b) => first(a.name) - first(b.name)).flatMap(classParts),
    '## Functions',
    ...functions.flatMap((one) => itemParts(one.name, one.signature, one.comment)),
    '## Types',
    ...types.toSorted((a, b) => (a.name < b.name ? -1 : 1)).flatMap(typeParts),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function classParts({ name, comment, members }: Declaration): string[] {
  const { path = name, hides = [] } = places[name] ?? {};
  const shown = members.filter((member) => !hides.includes(member.name) && (member.name !== 'constructor' || name === 'Orb'));
  const titleOf = (member: string) => (member === 'constructor' ? 'new Orb' : `${path}.${member.replaceAll(/[[\]]/g, '')}`);
  return [
    `## ${name === 'Orb' ? 'Orb' : path}`,
    ...describe(comment),
    ...shown.flatMap((member) => itemParts(titleOf(member.name), member.signature.replace('constructor', 'new Orb'), member.comment)),
  ];
}

/** How a program comes to what a class has; the clients below an Orb have headings of their own. */
const places: Readonly<Record<string, { readonly path: string; readonly hides?: readonly string[] }>> = {
  Orb: { path: 'orb', hides: ['ledger', 'accounts', 'functions', 'allowances', 'tokens'] },
  LedgerClient: { path: 'orb.ledger' },
  AccountsClient: { path: 'orb.accounts' },
  FunctionsClient: { path: 'orb.functions' },
  AllowancesClient: { path: 'orb.allowances' },
  TokensClient: { path: 'orb.tokens' },
  OrbError: { path: 'error' },
};

function itemParts(name: string, signature: string, comment: Comment): string[] {
  return [`### ${name}`, `\`\`\`ts signature\n${signature}\n\`\`\``, ...describe(comment)];
}

function describe({ text, tags }: Comment): string[] {
  const rows = tags.filter(({ name }) => name !== 'example').map(({ name, text: words }) => `- *${labelOf(name)}* ${paragraph(words)}`);
  const examples = tags.filter(({ name }) => name === 'example').map(({ text: words }) => words.replace(/([^\n])\n```ts/, '$1\n\n```ts'));
  return [paragraph(text), rows.join('\n'), ...examples];
}

function labelOf(tag: string): string {
  return { param: 'parameter', throws: 'throws', returns: 'returns', default: 'default' }[tag] ?? tag;
}

function typeParts({ name, signature, comment, members, kind }: Declaration): string[] {
  const head = [`### ${name}`, ...describe(comment)];
  if (kind === 'type' || members.length === 0) return [...head, signature.length > 1_500 ? '' : `\`\`\`ts signature\n${signature}\n\`\`\``];
  const cell = (text: string) => paragraph(text).replaceAll('\n', ' ').replaceAll('|', '\\|');
  const rows = members.map((member) => {
    const type = member.signature.replace(/^(\[[^\]]+\]|\w+)\??:? ?/, '').replaceAll(/\s+/g, ' ');
    const tags = member.comment.tags.map((tag) => `*${labelOf(tag.name)}* ${tag.text}`);
    const optional = /^\w+\?/.test(member.signature) ? '?' : '';
    return `| \`${member.name}${optional}\` | \`${cell(type)}\` | ${[member.comment.text, ...tags].filter(Boolean).map(cell).join(' ')} |`;
  });
  return [...head, ['| member | type | |', '| --- | --- | --- |', ...rows].join('\n')];
}
