import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seccompFilter } from './seccomp.ts';
import { forbiddenCalls, numbers, type SeccompArchitecture } from './syscall-numbers.ts';

const allow = 0x7fff0000;
const killProcess = 0x80000000;
const notPermitted = 0x00050001;
const notThere = 0x00050026;

/** Above the last call that Linux has. */
const numbersTried = 1_024;
/** AUDIT_ARCH_* of linux/audit.h: 32-bit x86 and ARM, RISC-V, PowerPC, s390, MIPS, both with bytes in the other order, and none. */
const foreign = [0x40000003, 0x40000028, 0xc00000f3, 0xc0000015, 0x80000015, 0x80000016, 0xc0000008, 0x00000008, 0x3e0000c0, 0xb70000c0, 0];
/** What Deno, V8 and glibc live by: numbers on x64 and arm64. */
const engineCalls: Readonly<Record<string, readonly [x64: number, arm64: number]>> = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  fstat: [5, 80],
  lseek: [8, 62],
  mmap: [9, 222],
  mprotect: [10, 226],
  munmap: [11, 215],
  brk: [12, 214],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  pread64: [17, 67],
  readv: [19, 65],
  writev: [20, 66],
  sched_yield: [24, 124],
  mremap: [25, 216],
  madvise: [28, 233],
  nanosleep: [35, 101],
  getpid: [39, 172],
  execve: [59, 221],
  exit: [60, 93],
  fcntl: [72, 25],
  getcwd: [79, 17],
  getuid: [102, 174],
  sigaltstack: [131, 132],
  prctl: [157, 167],
  gettid: [186, 178],
  futex: [202, 98],
  sched_getaffinity: [204, 123],
  set_tid_address: [218, 96],
  clock_gettime: [228, 113],
  clock_nanosleep: [230, 115],
  exit_group: [231, 94],
  openat: [257, 56],
  newfstatat: [262, 79],
  readlinkat: [267, 78],
  set_robust_list: [273, 99],
  epoll_pwait: [281, 22],
  eventfd2: [290, 19],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  pipe2: [293, 59],
  getrandom: [318, 278],
  membarrier: [324, 283],
  statx: [332, 291],
  rseq: [334, 293],
};

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
    for (const [name, [x64, arm64]] of Object.entries(engineCalls))
      expect([name, verdict(architecture, architecture === 'x64' ? x64 : arm64)]).toEqual([name, allow]);
  });

  it('refuses exactly what is on the list, of every number that there is', () => {
    const refused = new Set(forbiddenCalls.flatMap((name) => calls[name] ?? []));
    const byArguments = new Set([calls.clone, calls.socketpair]);
    for (let number = 0; number < numbersTried; number++) {
      const expected = number === calls.clone3 ? notThere : refused.has(number) || byArguments.has(number) ? notPermitted : allow;
      expect([number, verdict(architecture, number)]).toEqual([number, expected]);
    }
  });

  it('has no number twice, and leaves out only calls that the architecture does not have', () => {
    const all = Object.values(calls);
    expect(new Set(all).size).toBe(all.length);
    const left = forbiddenCalls.filter((name) => calls[name] === undefined);
    const onlyX64 = ['fork', 'vfork', 'modify_ldt', 'uselib', 'ustat', 'sysfs', 'iopl', 'ioperm'];
    expect(left).toEqual(architecture === 'x64' ? [] : onlyX64);
  });

  const header = architecture === 'x64' ? '/usr/include/x86_64-linux-gnu/asm/unistd_64.h' : '/usr/include/asm-generic/unistd.h';
  it.skipIf(!existsSync(header))('knows the numbers that the kernel’s own header gives', () => {
    const text = readFileSync(header, 'utf8');
    const kernel = new Map([...text.matchAll(/^#define __NR(?:3264)?_(\w+) (\d+)$/gm)].map(([, name, number]) => [name!, Number(number)]));
    const known = Object.entries(calls).filter(([name]) => kernel.has(name));
    expect(known.length).toBeGreaterThan(80);
    for (const [name, number] of known) expect([name, number]).toEqual([name, kernel.get(name)]);
    for (const [name, [x64, arm64]] of Object.entries(engineCalls))
      if (kernel.has(name)) expect([name, architecture === 'x64' ? x64 : arm64]).toEqual([name, kernel.get(name)]);
  });

  it('is a program that the kernel loads: every jump lands in it, every way ends', () => {
    const program = Buffer.from(seccompFilter(architecture));
    const length = program.length / 8;
    // BPF_MAXINSNS
    expect(length).toBeLessThanOrEqual(4_096);
    for (let at = 0; at < length; at++) {
      const returns = program.readUInt16LE(at * 8) === 0x06;
      const furthest = at + 1 + Math.max(program[at * 8 + 2]!, program[at * 8 + 3]!);
      expect(returns || furthest < length, `instruction ${at}`).toBe(true);
    }
  });

  it('allows threads, not processes or namespaces', () => {
    expect(verdict(architecture, calls.clone, [0x3d0f00n])).toBe(allow);
    expect(verdict(architecture, calls.clone, [0x11n])).toBe(notPermitted);
    // vfork, as posix_spawn has it: CLONE_VM | CLONE_VFORK | SIGCHLD
    expect(verdict(architecture, calls.clone, [0x4111n])).toBe(notPermitted);
    // CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, each with a thread
    for (const bit of [7n, 17n, 25n, 26n, 27n, 28n, 29n, 30n])
      expect(verdict(architecture, calls.clone, [0x3d0f00n | (1n << bit)])).toBe(notPermitted);
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

  it('ends a process that calls in another instruction set, whatever it calls', () => {
    const other = numbers[architecture === 'x64' ? 'arm64' : 'x64'].audit;
    for (const audit of [...foreign, other])
      for (let number = 0; number < numbersTried; number++)
        expect([audit, number, verdict(architecture, number, [], audit)]).toEqual([audit, number, killProcess]);
  });
});

it('refuses x32 numbers on x64, which would slip past the list', () => {
  // From 512 on it has numbers of its own; a number is 32 bits, and its highest may be set too.
  for (const base of [0x40000000, 0x80000000, 0xc0000000, 0xfffffc00])
    for (let number = 0; number < numbersTried; number++)
      expect([base, number, verdict('x64', (base + number) >>> 0)]).toEqual([base, number, notThere]);
});
