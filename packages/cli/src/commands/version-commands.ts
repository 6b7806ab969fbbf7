import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { OrbError, type VersionRecord } from '@orb/protocol';
import { parseFunctionPath, type FunctionInfo, type Orb } from '@orb/sdk';
import type { Session } from '../session/session.ts';
import { formatBytes, formatUs, shortId } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import type { CommandContext } from './command-context.ts';
import { wholeNumber } from './option-values.ts';

interface PullFlags {
  readonly number?: number;
  readonly folder?: string;
}

/** `orb versions`, `orb pull`: what the network has of a function. */
export function addVersionCommands(program: Command, context: CommandContext): void {
  program
    .command('versions')
    .description('every version of a function, newest first; an arrow marks what answers calls')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .action(async (path: string, _: unknown, command: Command) => listVersions(context.session(command), path));
  program
    .command('pull')
    .description('bring your function’s code and manifest back from the network, checked against the ledger')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .option('--number <number>', 'which version (default: the one that answers calls)', wholeNumber(1, 1_000_000_000))
    .option('--folder <folder>', 'where to put them (default: a folder with the function’s name); files there are not replaced')
    .action(async (path: string, flags: PullFlags, command: Command) => pull(context.session(command), path, flags));
}

async function readVersions(orb: Orb, path: string): Promise<{ readonly info: FunctionInfo; readonly versions: readonly VersionRecord[] }> {
  const info = await orb.functions.show(path);
  return { info, versions: await orb.functions.versions(info.record.id) };
}

async function listVersions(session: Session, given: string): Promise<void> {
  const path = await session.callPath(given);
  const { info, versions } = await readVersions(await session.orb(), path);
  const shares = new Map(info.record.traffic);
  const total = [...shares.values()].reduce((sum, weight) => sum + weight, 0);
  const all = versions.map(({ number, id, manifest }) => ({ number, id, share: (shares.get(number) ?? 0) / (total || 1), manifest }));
  session.result({ function: `${info.owner}/${info.name}`, versions: all }, () => {
    const { style, width } = session.terminal;
    const rows = all.map(({ number, id, share, manifest }) => [
      `${share > 0 ? style.good('→') : ' '} ${number}`,
      share > 0 && share < 1 ? `${Math.round(share * 100)} %` : '',
      `${manifest.memoryMiB} MiB`,
      formatUs(manifest.timeoutMs * 1_000),
      String(manifest.replicas),
      formatBytes(manifest.code.bytes),
      id,
    ]);
    const columns = [
      { title: 'version' },
      { title: '' },
      { title: 'memory', align: 'right' },
      { title: 'timeout', align: 'right' },
      { title: 'replicas', align: 'right' },
      { title: 'code', align: 'right' },
      { title: 'id', flexible: true },
    ] as const;
    return renderTable(columns, rows, style, width);
  });
}

async function pull(session: Session, given: string, flags: PullFlags): Promise<void> {
  const { orb, owner } = await session.orbAs();
  const path = await session.ownPath(given);
  const { name } = parseFunctionPath(path);
  const { info, versions } = await readVersions(orb, path);
  const version = versions.find(({ number, id }) => (flags.number === undefined ? id === info.version?.id : number === flags.number));
  if (!version) {
    throw new OrbError('not-found', {
      message: `${path} has no version ${flags.number ?? 'that answers'}.`,
      hint: `See them: orb versions ${path}`,
    });
  }
  const code = await orb.functions.download(path, owner, version);
  const folder = resolve(flags.folder ?? name);
  // Of an image, its own manifest.
  const extension = { bundle: 'js', wasm: 'wasm', image: 'image.json' }[version.manifest.kind];
  const files = { code: join(folder, `${name}.${extension}`), manifest: join(folder, `${name}.manifest.json`) };
  await mkdir(folder, { recursive: true });
  await writeNew(files.code, code);
  await writeNew(files.manifest, `${JSON.stringify(version.manifest, null, 2)}\n`);
  session.result({ function: path, version: version.number, id: version.id, files }, () => {
    const { style } = session.terminal;
    return `${style.good('✓')} Version ${version.number} of ${style.strong(path)} is in ${flags.folder ?? name}/ ${style.quiet(`(${formatBytes(code.byteLength)}, ${shortId(version.id)})`)}`;
  });
}

async function writeNew(path: string, content: Uint8Array | string): Promise<void> {
  await writeFile(path, content, { flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause;
    throw new OrbError('conflict', { message: `${path} is there already.`, hint: 'Move it away, or choose another --folder.', cause });
  });
}
