import { describe, expect, it } from 'vitest';
import { seccompFilter } from './seccomp.ts';
import { forbiddenCalls, numbers, type SeccompArchitecture } from './syscall-numbers.ts';

const allow = 0x7fff0000;
const killProcess = 0x80000000;
const notPermitted = 0x00050001;
const notThere = 0x00050026;

/** Runs the filter as the kernel would, on one call. */
function verdict(
  architecture: SeccompArchitecture,
  number: number,
  args: readonly bigint[] = [],
  audit: number = numbers[architecture].audit,
): number {
  const program = Buffer.from(seccompFilter(architecture));
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(audit >>> 0, 4);
  args.forEach((value, index) => data.writeBigUInt64LE(value, 16 + index * 8));
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const code = program.readUInt16LE(at);
    const value = program.readUInt32LE(at + 4);
    const jump = (taken: boolean) => (at += 8 * program[at + (taken ? 2 : 3)]!);
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x15) jump(accumulator === value);
    else if (code === 0x35) jump(accumulator >= value);
    else if (code === 0x45) jump((accumulator & value) !== 0);
    else if (code === 0x06) return value;
    else throw new Error(`instruction ${code}`);
  }
  throw new Error('the filter has no end');
}

describe.each(['x64', 'arm64'] as const)('seccomp filter for %s', (architecture) => {
  const { calls } = numbers[architecture];

  it('refuses every call on the list', () => {
    for (const name of forbiddenCalls) {
      const number = calls[name];
      if (number !== undefined) expect([name, verdict(architecture, number)]).toEqual([name, notPermitted]);
    }
  });

  it('allows what an engine lives by', () => {
    // read, write, mmap, futex
    for (const number of architecture === 'x64' ? [0, 1, 9, 202] : [63, 64, 222, 98]) expect(verdict(architecture, number)).toBe(allow);
  });

  it('allows threads, not processes or namespaces', () => {
    expect(verdict(architecture, calls.clone, [0x3d0f00n])).toBe(allow);
    expect(verdict(architecture, calls.clone, [0x11n])).toBe(notPermitted);
    expect(verdict(architecture, calls.clone, [0x00010000n | 0x10000000n])).toBe(notPermitted);
    expect(verdict(architecture, calls.clone3)).toBe(notThere);
  });

  it('allows socket pairs of the unix family only', () => {
    expect(verdict(architecture, calls.socketpair, [1n])).toBe(allow);
    expect(verdict(architecture, calls.socketpair, [2n])).toBe(notPermitted);
  });

  it('allows limits to be read, not set, however the pointer is split', () => {
    expect(verdict(architecture, calls.prlimit64, [0n, 7n, 0n])).toBe(allow);
    expect(verdict(architecture, calls.prlimit64, [0n, 7n, 0x7ffc_0000_0000n])).toBe(notPermitted);
    expect(verdict(architecture, calls.prlimit64, [0n, 7n, 0x1000n])).toBe(notPermitted);
  });

  it('refuses to type into a terminal', () => {
    expect(verdict(architecture, calls.ioctl, [0n, 0x5412n])).toBe(notPermitted);
    expect(verdict(architecture, calls.ioctl, [0n, 0x541cn])).toBe(notPermitted);
    expect(verdict(architecture, calls.ioctl, [0n, 0x5413n])).toBe(allow);
  });

  it('ends a process that calls in another instruction set', () => {
    expect(verdict(architecture, 0, [], 0x40000003)).toBe(killProcess);
  });

  it('refuses x32 numbers, which would slip past the list', () => {
    if (architecture === 'x64') expect(verdict(architecture, 0x40000000 + 41)).toBe(notThere);
  });
});
