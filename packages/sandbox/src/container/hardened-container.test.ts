import type { ImageInspectInfo } from 'dockerode';
import { describe, expect, test } from 'vitest';
import { hardenedContainer, readImage, type ContainerPlan } from './hardened-container.ts';

const plan: ContainerPlan = {
  image: 'sha256:abc',
  owner: 'test',
  user: '65534:65534',
  memoryMiB: 128,
  cpus: 0.5,
  priority: 'lowest',
  pids: 64,
  writable: ['/tmp'],
  tmpMiB: 16,
  env: ['A=1'],
  stdin: true,
};

test('every container gets every wall', () => {
  const { HostConfig: host, ...rest } = hardenedContainer(plan);
  expect(host).toMatchObject({
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'],
    Privileged: false,
    ReadonlyRootfs: true,
    NetworkMode: 'none',
    Memory: 134_217_728,
    MemorySwap: 134_217_728,
    NanoCpus: 500_000_000,
    CpuShares: 2,
    BlkioWeight: 10,
    PidsLimit: 64,
    LogConfig: { Type: 'none' },
    RestartPolicy: { Name: 'no' },
  });
  expect(host).not.toHaveProperty('CapAdd');
  for (const hole of ['Binds', 'Mounts', 'Devices', 'PortBindings', 'VolumesFrom', 'GroupAdd', 'UsernsMode', 'Links'])
    expect(host).not.toHaveProperty(hole);
  expect(rest).toMatchObject({ User: '65534:65534', Tty: false, Healthcheck: { Test: ['NONE'] } });
});

test('a container runs on the processors that are lent', () => {
  expect(hardenedContainer(plan).HostConfig).not.toHaveProperty('CpusetCpus');
  expect(hardenedContainer({ ...plan, processors: '2-3' }).HostConfig).toMatchObject({ CpusetCpus: '2-3' });
});

test('a container of normal priority has the weight of any program', () => {
  const { HostConfig: host } = hardenedContainer({ ...plan, priority: 'normal' });
  expect(host).not.toHaveProperty('CpuShares');
  expect(host).not.toHaveProperty('BlkioWeight');
});

test('a container beside the helper shares its empty network and its process tree, and nothing else', () => {
  const { HostConfig: host } = hardenedContainer({ ...plan, beside: 'helper' });
  expect(host).toMatchObject({ NetworkMode: 'container:helper', PidMode: 'container:helper', IpcMode: 'private' });
});

describe('of an image', () => {
  const image = (config: object, more: object = {}) =>
    ({ Id: 'sha256:abc', Os: 'linux', Config: { Cmd: ['run'], ...config }, ...more }) as unknown as ImageInspectInfo;

  test.each([
    ['', '65534:65534'],
    ['root', '65534:65534'],
    ['0', '65534:65534'],
    ['00', '65534:65534'],
    ['app', '65534:65534'],
    ['0:0', '65534:65534'],
    ['1000:0', '65534:65534'],
    ['1000', '1000:65534'],
    ['1000:1000', '1000:1000'],
    ['65533:1', '65534:65534'],
    ['065533', '65534:65534'],
    ['4294967296', '65534:65534'],
    ['-1', '65534:65534'],
    ['1000:1000:0', '65534:65534'],
  ])('the user %j becomes %s', (user, expected) => {
    expect(readImage(image({ User: user })).user).toBe(expected);
  });

  test.each([
    [{ '3000/tcp': {} }, 3_000],
    [{ '80/tcp': {} }, 8_080],
    [{}, 8_080],
    [undefined, 8_080],
    [{ '3000/udp': {} }, 8_080],
    [{ '3000': {}, '4000': {} }, 8_080],
    [{ '99999/tcp': {} }, 8_080],
  ])('ports %j give $PORT %i', (exposed, port) => {
    expect(readImage(image({ ExposedPorts: exposed })).port).toBe(port);
  });

  test('volumes become memory, and none can lie over what the engine mounts', () => {
    expect(readImage(image({ Volumes: { '/data': {}, '/var/lib/x': {}, '/tmp': {} } })).writable).toEqual(['/tmp', '/data', '/var/lib/x']);
    for (const path of ['/', '/proc', '/proc/sys', '/sys/fs', '/dev/shm', '/etc', '/a/../proc', 'data', '/a,exec', '/a:/b', '/a/./b/..']) {
      expect(() => readImage(image({ Volumes: { [path]: {} } })), path).toThrow(/volume/);
    }
    expect(() => readImage(image({ Volumes: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`/v${i}`, {}])) }))).toThrow(
      /9 volumes/,
    );
  });

  test.each([
    [{}, undefined],
    [{ 'orb.health.interval': '5' }, undefined],
    [{ 'orb.health': '/healthz' }, { path: '/healthz', everyMs: 10_000 }],
    [
      { 'orb.health': '/a?b=c', 'orb.health.interval': '300' },
      { path: '/a?b=c', everyMs: 300_000 },
    ],
  ])('the labels %j name a check of health', (labels, health) => {
    expect(readImage(image({ Labels: labels })).health).toEqual(health);
  });

  test.each([
    { 'orb.health': 'healthz' },
    { 'orb.health': '/a b' },
    { 'orb.health': '/a\r\nx: y' },
    { 'orb.health': `/${'x'.repeat(300)}` },
    { 'orb.health': '/', 'orb.health.interval': '0' },
    { 'orb.health': '/', 'orb.health.interval': '1e9' },
  ])('the labels %j are refused', (labels) => {
    expect(() => readImage(image({ Labels: labels }))).toThrow(/its label orb\.health/);
  });

  test('what is no image for here is refused', () => {
    expect(() => readImage(image({}, { Os: 'windows' }))).toThrow(/windows/);
    expect(() => readImage(image({ Cmd: null }))).toThrow(/no command/);
  });
});
