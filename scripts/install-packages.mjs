import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runChild } from './run-child.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const modules = join(root, 'node_modules');
const stamp = join(modules, '.orb-installed');
const lock = join(root, '.orb-install.lock');

/**
 * Installs the packages of package-lock.json unless exactly they are installed. When several start at once, one
 * installs and the others wait.
 */
export async function installPackages() {
  if (isInstalled()) return;
  const release = await takeLock();
  try {
    if (isInstalled()) return;
    await install();
  } finally {
    release();
  }
}

function isInstalled() {
  return readText(stamp) === wantedStamp();
}

/** Changes with the locked packages and with the machine they are for. */
function wantedStamp() {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return `${process.platform}-${process.arch} ${hash}\n`;
}

async function install() {
  console.error('Installing packages (10 to 60 seconds the first time) …');
  rmSync(stamp, { force: true });
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1_000);
  const progress = setInterval(() => console.error(`  … ${seconds()} s, ${countPackages()} packages there`), 3_000);
  try {
    // Not `npm ci`: it refuses a lock without the optional binaries of other platforms (docs/decisions/0002-workspaces.md).
    // The lock still fixes every version and hash, and --no-save leaves it as it is.
    const flags = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    const npm = npmCommand();
    const { code, stopped } = await runChild(npm.program, [...npm.argv, ...flags], { cwd: root, stdio: ['ignore', 2, 2] });
    if (stopped) throw Object.assign(new Error('Stopped.'), { exitCode: code });
    if (code !== 0) throw new Error('npm install failed; its message stands above. Mend the cause and run the command again.');
  } finally {
    clearInterval(progress);
  }
  mkdirSync(modules, { recursive: true });
  writeFileSync(stamp, wantedStamp());
  console.error(`  ${countPackages()} packages are installed, in ${seconds()} s.`);
}

/** The npm that started this script, run without a shell where possible. */
function npmCommand() {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) return { program: process.execPath, argv: [script] };
  return process.platform === 'win32' ? { program: 'cmd.exe', argv: ['/c', 'npm'] } : { program: 'npm', argv: [] };
}

function countPackages() {
  let count = 0;
  for (const name of readNames(modules)) {
    if (name.startsWith('@')) count += readNames(join(modules, name)).length;
    else if (!name.startsWith('.')) count++;
  }
  return count;
}

/** Holds a lock file with this process's id; returns how to give it back. */
async function takeLock() {
  const mine = `${process.pid} ${Date.now()}\n`;
  for (let waited = 0; ; waited++) {
    try {
      writeFileSync(lock, mine, { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const theirs = readText(lock);
    if (theirs && !isRunning(Number.parseInt(theirs, 10))) removeStaleLock(theirs);
    if (waited === 0) console.error('Waiting: another process is installing packages here …');
    await sleep(200);
  }
}

/** Moves a dead process's lock away; one that somebody alive has taken in the meantime is put back. */
function removeStaleLock(theirs) {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
    if (readText(aside) !== theirs) linkSync(aside, lock);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readNames(directory) {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
