import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlGroups } from './control-groups.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'orb-groups-'));
  mkdirSync(join(root, 'proc/self'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const proc = (file: string, text: string) => writeFileSync(join(root, 'proc/self', file), text);
const folder = (path: string) => mkdirSync(join(root, path), { recursive: true });
/** The one group of ours below a folder. */
const ours = (path: string) =>
  join(
    root,
    path,
    readdirSync(join(root, path)).find((name) => name.startsWith('orb-'))!,
  );
const says = (path: string, file: string) => readFileSync(join(path, file), 'utf8');
const lent = { cores: 1.5, memoryMiB: 1_024, priority: 'lowest' } as const;

test('version 1: a tree for each controller, below the node’s own group; the owner’s limits above, each function’s below', () => {
  proc('cgroup', '4:memory:/user/me\n2:cpu,cpuacct:/\n1:pids:/\n');
  proc(
    'mountinfo',
    ['memory', 'cpu,cpuacct', 'pids']
      .map((name, i) => `${30 + i} 29 0:${i} / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}`)
      .join('\n'),
  );
  for (const path of ['memory/user/me', 'cpu,cpuacct', 'pids']) folder(`sys/fs/cgroup/${path}`);
  const groups = ControlGroups.open({ cores: 4, root })!;
  expect([groups.version, groups.controllers]).toEqual([1, ['memory', 'cpu', 'pids']]);
  groups.limit(lent);
  const memory = ours('sys/fs/cgroup/memory/user/me');
  const cpu = ours('sys/fs/cgroup/cpu,cpuacct');
  expect([says(cpu, 'cpu.cfs_quota_us'), says(cpu, 'cpu.shares')]).toEqual(['150000', '2']);
  expect(Number(says(memory, 'memory.limit_in_bytes'))).toBe((1_024 * 1.5 + 128) * 1_048_576);
  const group = groups.make(128);
  group.add(4_711);
  expect(says(join(memory, 'f1'), 'cgroup.procs')).toBe('4711');
  expect(says(join(memory, 'f1'), 'memory.limit_in_bytes')).toBe(String((128 + 32) * 1_048_576));
  expect(says(join(ours('sys/fs/cgroup/pids'), 'f1'), 'pids.max')).toBe('80');
  group.limitMemory(64);
  expect(says(join(memory, 'f1'), 'memory.limit_in_bytes')).toBe(String((64 + 32) * 1_048_576));
  expect(group.outOfMemory()).toBe(false);
  writeFileSync(join(memory, 'f1/memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n');
  expect(group.outOfMemory()).toBe(true);
  expect(group.peakKiB()).toBe(0);
  writeFileSync(join(memory, 'f1/memory.max_usage_in_bytes'), `${100 * 1_048_576}\n`);
  expect(group.peakKiB()).toBe(100 * 1_024);
});

test('version 1: what is lent whole is not held back', () => {
  proc('cgroup', '2:cpu:/\n');
  proc('mountinfo', '30 29 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n');
  folder('sys/fs/cgroup/cpu');
  const groups = ControlGroups.open({ cores: 4, root })!;
  expect(groups.controllers).toEqual(['cpu']);
  groups.limit({ ...lent, cores: 4, priority: 'normal' });
  const cpu = ours('sys/fs/cgroup/cpu');
  expect([says(cpu, 'cpu.cfs_quota_us'), says(cpu, 'cpu.shares')]).toEqual(['-1', '1024']);
});

test('version 2: the group above is asked to pass down what it does not yet', () => {
  proc('cgroup', '0::/user.slice/me.scope\n');
  proc('mountinfo', '30 29 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n');
  folder('sys/fs/cgroup/user.slice/me.scope');
  const slice = join(root, 'sys/fs/cgroup/user.slice');
  writeFileSync(join(slice, 'cgroup.subtree_control'), 'memory pids');
  // Nothing here fills in cgroup.controllers as the kernel does: what cannot be used is not taken.
  expect(ControlGroups.open({ cores: 4, root })).toBeUndefined();
  expect(says(slice, 'cgroup.subtree_control')).toBe('+cpu');
});

test('where nothing may be made there are none', () => {
  expect(ControlGroups.open({ cores: 4, root })).toBeUndefined();
  proc('cgroup', '0::/\n');
  proc('mountinfo', '30 29 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n');
  folder('sys/fs/cgroup');
  expect(ControlGroups.open({ cores: 4, root })).toBeUndefined();
});

test('groups of a node that is no more are swept; those of a living one stay', () => {
  proc('cgroup', '1:pids:/\n');
  proc('mountinfo', '30 29 0:1 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n');
  // No process has this number: Linux counts to 4194304.
  for (const path of ['orb-4999999-abcdef/f1', `orb-${process.ppid}-abcdef/f1`, 'orb-x']) folder(`sys/fs/cgroup/pids/${path}`);
  ControlGroups.open({ cores: 1, root });
  const left = readdirSync(join(root, 'sys/fs/cgroup/pids'));
  expect(left).not.toContain('orb-4999999-abcdef');
  expect(left).toEqual(expect.arrayContaining([`orb-${process.ppid}-abcdef`, 'orb-x']));
});
