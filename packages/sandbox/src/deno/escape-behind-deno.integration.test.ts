import { spawn, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behindDeno } from '../../test/escape/behind-deno.ts';
import { jobOf, programOf, textOf } from '../conformance.ts';
import type { Instance } from '../port.ts';
import { DenoSandbox } from './deno-sandbox.ts';

describe('behind a hole in Deno', () => {
  const sandbox = new DenoSandbox({ without: ['permissions'] });
  let other: Instance;
  let victim: ChildProcess;
  let reason: string | undefined;
  beforeAll(async () => {
    const { layers } = await sandbox.probe();
    const missing = layers.find(({ name, active }) => ['namespaces (bubblewrap)', 'seccomp'].includes(name) && !active);
    reason = missing && `${missing.name} cannot be switched on here. ${missing.remedy ?? ''}`;
    if (reason !== undefined && process.env['CI'] === 'true') throw new Error(reason);
    other = await sandbox.start(programOf('export default (n) => n + 1'));
    victim = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  });
  afterAll(async () => {
    victim.kill('SIGKILL');
    await sandbox.close();
  });

  async function attemptTo(attempt: string): Promise<string> {
    const source = `export default async () => { try { const got = await (async () => { ${attempt} })(); return 'got ' + JSON.stringify(got) } catch (e) { return 'stopped ' + e.name + ': ' + e.message } }`;
    const instance = await sandbox.start(programOf(source));
    try {
      const result = await instance.invoke(jobOf(null, { timeoutMs: 10_000 }));
      return result.status === 200 ? (JSON.parse(await textOf(result)) as string) : `ended ${(await result.finished).outcome}`;
    } finally {
      await instance.kill();
    }
  }

  for (const [what, name, attempt, layer, gets] of behindDeno) {
    it(`${what}, ${name}: stopped by ${layer}`, async (context) => {
      if (reason !== undefined) context.skip(reason);
      const said = await attemptTo(attempt);
      expect(said).toMatch(gets);
      expect(said).not.toMatch(/root:x|\/work\//);
      expect(await textOf(await other.invoke(jobOf(41, { job: 'other' })))).toBe('42');
    });
  }

  it('signals, to a process of the host: stopped by namespaces, there is none of that number', async (context) => {
    if (reason !== undefined) context.skip(reason);
    await attemptTo(`Deno.kill(${victim.pid}, "SIGKILL"); return 1`);
    await attemptTo(`process.kill(${victim.pid}, "SIGKILL"); return 1`);
    expect(victim.exitCode ?? victim.signalCode).toBeNull();
    expect(process.kill(victim.pid!, 0)).toBe(true);
  });
});
