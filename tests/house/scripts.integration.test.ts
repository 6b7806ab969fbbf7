import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const scripts = join(import.meta.dirname, '..', '..', 'scripts');

test('a child gets a signal once, also when it is sent twice, and its exit code is kept', async () => {
  const child =
    "let n = 0; process.on('SIGTERM', () => { console.log('got it'); if (++n === 1) setTimeout(() => process.exit(40 + n), 90); }); console.log('ready'); setInterval(() => {}, 1e4);";
  const parent = start(
    program(`process.exitCode = (await runChild(process.execPath, ['-e', ${JSON.stringify(child)}], { cwd: '.' })).code;`),
  );
  await parent.output('ready');
  parent.process.kill('SIGTERM');
  await parent.output('got it');
  parent.process.kill('SIGTERM');
  expect(await parent.exit).toBe(41);
});

test('a child that a signal ends gives 128 and the number of the signal, as a shell does', async () => {
  const parent = start(
    program(`process.exitCode = (await runChild(process.execPath, ['-e', 'process.kill(process.pid, "SIGKILL")'], { cwd: '.' })).code;`),
  );
  expect(await parent.exit).toBe(128 + 9);
});

test('of several that start at once on a bare clone one installs, and all go on when it has', async () => {
  const folder = bareClone();
  const runs = [start(installProgram(folder)), start(installProgram(folder)), start(installProgram(folder))];
  expect(await Promise.all(runs.map((run) => run.exit))).toEqual([0, 0, 0]);
  expect(runs.filter((run) => run.text().includes('Installing packages'))).toHaveLength(1);
  expect(existsSync(join(folder, 'node_modules', '.orb-installed'))).toBe(true);
  expect(existsSync(join(folder, '.orb-install.lock'))).toBe(false);
});

test('the lock of a process that died while installing is taken over', async () => {
  const folder = bareClone();
  const dead = start(['-e', '']);
  await dead.exit;
  writeFileSync(join(folder, '.orb-install.lock'), `${dead.process.pid} 1\n`);
  expect(await start(installProgram(folder)).exit).toBe(0);
  expect(existsSync(join(folder, 'node_modules', '.orb-installed'))).toBe(true);
});

test('nothing is installed again until the lock of the packages changes', async () => {
  const folder = bareClone();
  const first = start(installProgram(folder));
  await first.exit;
  const second = start(installProgram(folder));
  await second.exit;
  expect(second.text()).toBe('');
  writeFileSync(join(folder, 'package-lock.json'), `${JSON.stringify(lockOfNothing)}\n\n`);
  const third = start(installProgram(folder));
  await third.exit;
  expect(third.text()).toContain('Installing packages');
});

test('on CI, a file that failed among many runs once more; it passes as unsteady, named with its error, or fails', async () => {
  const folder = projectOfTests({
    steady: `test('holds', () => {});`,
    unsteady: `test('races', () => { if (!existsSync('ran')) { writeFileSync('ran', ''); throw new Error('lost the race'); } });`,
  });
  const run = start(testProgram(folder));
  expect(await run.exit).toBe(0);
  expect(run.text()).toMatch(/Unsteady: .*\n {2}unsteady\.test\.mjs\n {4}races: Error: lost the race/);
  expect(run.text().match(/holds/g)).toHaveLength(1);
  writeFileSync(join(folder, 'steady.test.mjs'), `import { test } from 'vitest'; test('holds', () => { throw new Error('never'); });`);
  const broken = start(testProgram(folder));
  expect(await broken.exit).toBe(1);
  expect(broken.text()).toContain('One file failed and runs once more');
  expect(broken.text()).not.toContain('Unsteady');
});

test('on CI, many files that fail are no chance: nothing runs again', async () => {
  const failing = `test('fails', () => { throw new Error('broken'); });`;
  const run = start(testProgram(projectOfTests({ a: failing, b: failing, c: failing, d: failing })));
  expect(await run.exit).toBe(1);
  expect(run.text()).not.toContain('once more');
});

test('tests have a temporary folder of their own, removed after them; what they left in it is named', async () => {
  const run = (code: string) =>
    start([
      '--input-type=module',
      '-e',
      `import { existsSync, writeFileSync } from 'node:fs';
       import { inTestFolder } from ${JSON.stringify(join(scripts, 'in-test-folder.mjs'))};
       let folder;
       process.exitCode = (await inTestFolder(async ({ TMPDIR }) => { folder = TMPDIR; ${code} return { code: 3 }; })).code;
       console.log(existsSync(folder) ? 'still there' : 'removed');`,
    ]);
  const messy = run(`writeFileSync(folder + '/orb-forgotten', '');`);
  expect(await messy.exit).toBe(3);
  expect(messy.text()).toContain('Left behind in the temporary folder: orb-forgotten');
  expect(messy.text()).toContain('removed');
  const tidy = run('');
  expect(await tidy.exit).toBe(3);
  expect(tidy.text()).toBe('removed\n');
});

const lockOfNothing = {
  name: 'bare',
  version: '1.0.0',
  lockfileVersion: 3,
  requires: true,
  packages: { '': { name: 'bare', version: '1.0.0' } },
};

/** The scripts in a project without packages: everything but the download is as on a clean machine. */
function bareClone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'orb-bare-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(scripts, join(folder, 'scripts'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bare', version: '1.0.0' }));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lockOfNothing));
  return folder;
}

/** A project with these test files; it finds vitest through a link. */
function projectOfTests(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'orb-project-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(scripts, '..', 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'vitest.config.mjs'), `export default { test: { include: ['*.test.mjs'] } };`);
  for (const [name, code] of Object.entries(files)) {
    const imports = `import { existsSync, writeFileSync } from 'node:fs'; import { test } from 'vitest';`;
    writeFileSync(join(folder, `${name}.test.mjs`), `${imports} ${code}`);
  }
  return folder;
}

function testProgram(folder: string): string[] {
  const vitest = join(scripts, '..', 'node_modules', 'vitest', 'vitest.mjs');
  const run = `(argv) => runChild(process.execPath, argv, { cwd: ${JSON.stringify(folder)} })`;
  return [
    '--input-type=module',
    '-e',
    `import { runChild } from ${JSON.stringify(join(scripts, 'run-child.mjs'))};
     import { runTests } from ${JSON.stringify(join(scripts, 'run-tests.mjs'))};
     const argv = [${JSON.stringify(vitest)}, 'run', '--root', ${JSON.stringify(folder)}, '--reporter=verbose'];
     process.exitCode = (await runTests(${run}, argv, ${JSON.stringify(folder)})).code;`,
  ];
}

function program(code: string): string[] {
  return ['--input-type=module', '-e', `import { runChild } from ${JSON.stringify(join(scripts, 'run-child.mjs'))}; ${code}`];
}

function installProgram(folder: string): string[] {
  const module = JSON.stringify(join(folder, 'scripts', 'install-packages.mjs'));
  return ['--input-type=module', '-e', `import { installPackages } from ${module}; await installPackages();`];
}

interface Started {
  readonly process: ChildProcess;
  readonly exit: Promise<number | null>;
  text(): string;
  /** Resolves when this has been printed. */
  output(expected: string): Promise<void>;
}

function start(argv: string[]): Started {
  // In a session of its own there is no terminal that would send signals too.
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return {
    process: child,
    exit,
    text: () => text,
    output: (expected) =>
      new Promise((resolve, reject) => {
        const look = () => text.includes(expected) && resolve();
        child.stdout.on('data', look);
        child.on('close', () => reject(new Error(`it ended without printing ${expected}: ${text}`)));
        look();
      }),
  };
}
