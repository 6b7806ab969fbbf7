import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The last commit of the version before this one: what a network that has not been upgraded yet still runs. */
export const previousCommit = '87c40c7073af7f9bcda41fd339abc439ce4391b5';

/** Whether this clone has the history that holds it. */
export async function hasPreviousVersion(): Promise<boolean> {
  return run('git', ['cat-file', '-e', `${previousCommit}^{commit}`], { cwd: root }).then(
    () => true,
    () => false,
  );
}

/** The tree of the previous version in a folder of its own, on the packages that are installed here. */
export class PreviousVersion {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async unpack(): Promise<PreviousVersion> {
    const previous = new PreviousVersion(await mkdtemp(join(tmpdir(), 'orb-previous-')));
    const archive = join(previous.#folder, 'tree.tar');
    await run('git', ['archive', '--output', archive, previousCommit, 'packages', 'package.json'], { cwd: root });
    await run('tar', ['-xf', archive, '-C', previous.#folder]);
    await previous.#linkPackages();
    return previous;
  }

  /** Its command. */
  get main(): string {
    return join(this.#folder, 'packages/cli/src/main.ts');
  }

  remove(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }

  /** Its own `@orb/` packages, everybody else's from this tree. */
  async #linkPackages(): Promise<void> {
    const modules = join(this.#folder, 'node_modules');
    await mkdir(join(modules, '@orb'), { recursive: true });
    for (const name of await readdir(join(this.#folder, 'packages'))) {
      await symlink(join(this.#folder, 'packages', name), join(modules, '@orb', name));
    }
    for (const name of await readdir(join(root, 'node_modules'))) {
      if (name !== '@orb' && !name.startsWith('.')) await symlink(join(root, 'node_modules', name), join(modules, name));
    }
  }
}
