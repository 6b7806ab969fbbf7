import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface OrbRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

export interface OrbRunOptions {
  readonly home: string;
  readonly gateway?: string;
  readonly input?: Uint8Array | string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Runs the real command as a process, with nothing of this process's environment but the path. */
export function runOrb(args: readonly string[], { home, gateway, input, env, cwd }: OrbRunOptions): Promise<OrbRun> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home, ORB_HOME: home, ...(gateway !== undefined && { ORB_GATEWAY: gateway }), ...env },
    ...(cwd !== undefined && { cwd }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const bytes = Buffer.concat(out);
      resolve({ code, stdout: bytes.toString(), stderr: Buffer.concat(err).toString(), bytes });
    });
  });
}

/** A fresh folder, removed when the test is over. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'orb-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
