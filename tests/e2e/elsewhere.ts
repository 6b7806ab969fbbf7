import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How this machine reaches a registry; the rest of its owner's settings stay out. */
const settingNames = ['registry', 'cache', 'cafile', 'proxy', 'https-proxy', 'noproxy'];

/** A folder somewhere else, with an empty HOME and nothing of this workspace: where somebody installs a tarball. */
export class Elsewhere {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Elsewhere> {
    const folder = await mkdtemp(join(tmpdir(), 'orb-elsewhere-'));
    for (const part of ['home', 'project']) await mkdir(join(folder, part));
    return new Elsewhere(folder);
  }

  get project(): string {
    return join(this.folder, 'project');
  }

  get home(): string {
    return join(this.folder, 'home');
  }

  /** Runs a program in the project. */
  run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
    const path = [dirname(process.execPath), process.env['PATH']].join(':');
    const options = {
      cwd: this.project,
      env: { PATH: path, HOME: this.home, NO_COLOR: '1', ...env },
      maxBuffer: 64 * 1_048_576,
    };
    return new Promise((resolve) => {
      execFile(program, args, options, (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }));
    });
  }

  /** `npm install` of a tarball. */
  async install(tarball: string): Promise<Run> {
    const flags = ['--no-audit', '--no-fund', '--no-update-notifier', '--prefer-offline', '--loglevel=error'];
    return this.run('npm', ['install', ...flags, tarball], await npmSettings());
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function npmSettings(): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    execFile('npm', ['config', 'list', '--json'], (error, stdout) => {
      if (error) return reject(error);
      const settings = JSON.parse(stdout) as Record<string, unknown>;
      const told = settingNames.flatMap((name) => {
        const value = settings[name];
        return typeof value === 'string' && value !== '' ? [[`npm_config_${name.replaceAll('-', '_')}`, value]] : [];
      });
      return resolve(Object.fromEntries(told) as Record<string, string>);
    });
  });
}
