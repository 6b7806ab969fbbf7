import { forbiddenCalls, numbers, type SeccompArchitecture } from './syscall-numbers.ts';

/*
 * A classic-BPF program for seccomp(2), as `bwrap --seccomp` loads it. It forbids what no JavaScript engine needs and an
 * attacker would start with: sockets, new processes, tracing, io_uring, keys, mounts and namespaces. Everything refused
 * gets EPERM, so that the engine can go on; a foreign instruction set ends the process.
 */

const allow = 0x7fff0000;
const killProcess = 0x80000000;
const refuse = (errno: number) => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;

// Offsets in struct seccomp_data (linux/seccomp.h); arguments are 64-bit, little-endian on both architectures.
const atNumber = 0;
const atArchitecture = 4;
const argument = (index: number, half: 'low' | 'high') => 16 + index * 8 + (half === 'high' ? 4 : 0);

// BPF opcodes (linux/bpf_common.h).
const loadWord = 0x20;
const jumpIfEqual = 0x15;
const jumpIfAtLeast = 0x35;
const jumpIfAnyBit = 0x45;
const returnValue = 0x06;

const cloneThread = 0x00010000;
/** CLONE_NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET */
const cloneNamespaces = 0x7e020080;
const afUnix = 1;
/** TIOCSTI and TIOCLINUX push characters into a terminal that others read. */
const terminalInput = [0x5412, 0x541c];
const x32Bit = 0x40000000;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/** The filter's bytes: `struct sock_filter` after `struct sock_filter`. */
export function seccompFilter(architecture: SeccompArchitecture): Uint8Array {
  const { audit, calls } = numbers[architecture];
  const program: Instruction[] = [
    [loadWord, 0, 0, atArchitecture],
    [jumpIfEqual, 1, 0, audit],
    [returnValue, 0, 0, killProcess],
    [loadWord, 0, 0, atNumber],
  ];
  if (architecture === 'x64') program.push([jumpIfAtLeast, 0, 1, x32Bit], [returnValue, 0, 0, refuse(ENOSYS)]);
  // glibc falls back to clone, whose flags a filter can see.
  program.push(...whenCall(calls.clone3, [[returnValue, 0, 0, refuse(ENOSYS)]]));
  for (const name of forbiddenCalls) {
    const number = calls[name];
    if (number !== undefined) program.push(...whenCall(number, [[returnValue, 0, 0, refuse(EPERM)]]));
  }
  program.push(
    ...whenCall(calls.clone, threadsOnly()),
    ...whenCall(calls.socketpair, unixOnly()),
    ...whenCall(calls.prlimit64, readOnlyLimits()),
    ...whenCall(calls.ioctl, noTerminalInput()),
    [returnValue, 0, 0, allow],
  );
  return assemble(program);
}

/** Runs the body, which must return in every branch, when the call's number is this one. */
function whenCall(number: number, body: readonly Instruction[]): Instruction[] {
  return [[jumpIfEqual, 0, body.length, number], ...body];
}

function threadsOnly(): Instruction[] {
  return [
    [loadWord, 0, 0, argument(0, 'low')],
    [jumpIfAnyBit, 0, 2, cloneThread],
    [jumpIfAnyBit, 1, 0, cloneNamespaces],
    [returnValue, 0, 0, allow],
    [returnValue, 0, 0, refuse(EPERM)],
  ];
}

function unixOnly(): Instruction[] {
  return [
    [loadWord, 0, 0, argument(0, 'low')],
    [jumpIfEqual, 0, 1, afUnix],
    [returnValue, 0, 0, allow],
    [returnValue, 0, 0, refuse(EPERM)],
  ];
}

/** `prlimit64` may read limits: its third argument, the new limit, must be null. */
function readOnlyLimits(): Instruction[] {
  return [
    [loadWord, 0, 0, argument(2, 'low')],
    [jumpIfEqual, 0, 3, 0],
    [loadWord, 0, 0, argument(2, 'high')],
    [jumpIfEqual, 0, 1, 0],
    [returnValue, 0, 0, allow],
    [returnValue, 0, 0, refuse(EPERM)],
  ];
}

function noTerminalInput(): Instruction[] {
  return [
    [loadWord, 0, 0, argument(1, 'low')],
    [jumpIfEqual, 2, 0, terminalInput[0]!],
    [jumpIfEqual, 1, 0, terminalInput[1]!],
    [returnValue, 0, 0, allow],
    [returnValue, 0, 0, refuse(EPERM)],
  ];
}

function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes[index * 8 + 2] = ifTrue;
    bytes[index * 8 + 3] = ifFalse;
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  });
  return bytes;
}
