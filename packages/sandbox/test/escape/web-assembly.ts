import type { Attempt, Column } from './tries.ts';

const wasi = (name: string, parameters: string) =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${parameters}) (result i32)))`;
const module = (body: string, imports = '') => `(module ${imports} (memory (export "memory") 1) (func $start (export "_start") ${body}))`;
const write = wasi('fd_write', 'i32 i32 i32 i32');
const flood = (fd: number, bytes: number) =>
  module(
    `(i32.store (i32.const 4) (i32.const ${bytes})) (i32.store (i32.const 0) (i32.const 16))
     (loop $on (drop (call $fd_write (i32.const ${fd}) (i32.const 0) (i32.const 1) (i32.const 8))) (br $on))`,
    write,
  );
/** Takes page after page and writes to each, until there is none. */
export const grow = (then: string) =>
  module(`(local $page i32) (block $full (loop $on
    (br_if $full (i32.eq (local.tee $page (memory.grow (i32.const 16))) (i32.const -1)))
    (memory.fill (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1) (i32.const 1048576)) (br $on))) ${then}`);

/** Asks WASI for one thing, and ends with the number of the error that it gets: 8 EBADF, 52 ENOSYS, 58 ENOTSUP. */
const refused = (name: string | undefined, call: string, parameters: string, args: string): Attempt => ({
  ...(name !== undefined && { name }),
  layer: 'WASI of this sandbox, which has no such thing',
  code: `(module (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32))) ${wasi(call, parameters)}
    (memory (export "memory") 1) (data (i32.const 512) "/etc/passwd")
    (func (export "_start") (call $proc_exit (call $${call} ${args}))))`,
  error: /ended with (exit )?code (8|52|58)\b/,
});
const zeros = (count: number) => Array.from({ length: count }, () => '(i32.const 0)').join(' ');
/** Whatever has no number in WASI would have to be imported. */
const imported = (module: string, name: string): Attempt => ({
  name: `imported as ${module}.${name}`,
  layer: 'the loader: only WASI and Orb can be imported',
  code: `(module (import "${module}" "${name}" (func)) (memory (export "memory") 1) (func (export "_start")))`,
  loads: 'load-failed',
});
const clock = (code: string, timeoutMs = 200): Attempt => ({
  layer: 'the host’s clock',
  code,
  outcome: 'timed-out',
  error: /did not answer within \d+ ms/,
  timeoutMs,
});
const noJavaScript =
  'There is no JavaScript in a module, and WASI has nothing of the kind: it would have to be imported, and that is refused.';
const samePipe = 'What a module writes to standard output are the bytes of its answer: only the harness makes frames of them.';

/** A module of WASI in a Deno process. */
export const webAssembly: Column = {
  files: [
    refused(
      'opened',
      'path_open',
      'i32 i32 i32 i32 i32 i64 i64 i32 i32',
      '(i32.const 3) (i32.const 0) (i32.const 512) (i32.const 11) (i32.const 0) (i64.const 1) (i64.const 1) (i32.const 0) (i32.const 1024)',
    ),
    refused('a folder that is open from the start', 'fd_prestat_get', 'i32 i32', '(i32.const 3) (i32.const 0)'),
    refused('a descriptor of the process', 'fd_read', 'i32 i32 i32 i32', '(i32.const 5) (i32.const 0) (i32.const 1) (i32.const 8)'),
    imported('node:fs', 'readFileSync'),
  ],
  symlinks: [refused('made', 'path_symlink', 'i32 i32 i32 i32 i32', zeros(5))],
  environment: [
    {
      name: 'read',
      layer: 'an environment of its own',
      code: `(module ${wasi('environ_sizes_get', 'i32 i32')} ${wasi('environ_get', 'i32 i32')} ${write} (memory (export "memory") 1)
        (func (export "_start") (drop (call $environ_sizes_get (i32.const 0) (i32.const 20))) (drop (call $environ_get (i32.const 32) (i32.const 1024)))
          (i32.store (i32.const 16) (i32.const 1024)) (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 28)))))`,
      outcome: 'ok',
      says: /^(ORB_\w+=[^\0]*\0)+$/,
    },
  ],
  'other processes': [imported('env', 'getppid')],
  signals: [refused('to itself, the one there is', 'proc_raise', 'i32', '(i32.const 9)'), imported('env', 'kill')],
  'TCP sockets': [
    refused('accepted', 'sock_accept', 'i32 i32 i32', zeros(3)),
    refused('sent', 'sock_send', 'i32 i32 i32 i32 i32', `(i32.const 4) ${zeros(4)}`),
    imported('wasi_snapshot_preview1', 'sock_open'),
  ],
  'UDP sockets': [imported('wasi_snapshot_preview1', 'sock_send_to')],
  'unix sockets': [imported('env', 'socket')],
  DNS: [imported('wasi_snapshot_preview1', 'sock_addr_resolve')],
  'other programs': [imported('env', 'posix_spawn')],
  'a fork bomb': [imported('env', 'fork')],
  'native code (FFI)': [imported('env', 'dlopen')],
  WebGPU: [imported('wasi:webgpu/webgpu', 'get-gpu')],
  'localStorage and caches': noJavaScript,
  workers: [imported('wasi', 'thread-spawn')],
  'the inspector': noJavaScript,
  'a heap bomb': [
    {
      name: 'of tables',
      layer: 'the engine’s limit of tables',
      code: '(module (memory (export "memory") 1) (table 1 funcref) (func (export "_start") (loop $on (br_if $on (i32.ne (table.grow (ref.null func) (i32.const 100000)) (i32.const -1))) unreachable)))',
      outcome: /out-of-memory|function-failed/,
      error: /./,
    },
    { name: 'of the stack', layer: 'the engine’s stack limit', code: module('(call $start)'), error: /call stack/ },
  ],
  'an ArrayBuffer bomb': 'A module has its linear memory alone: the next row.',
  'a WASM memory bomb': [
    {
      name: 'that never gives up',
      layer: 'V8’s limit of pages, and the memory watch',
      code: grow('(loop $on (br $on))'),
      outcome: /out-of-memory|timed-out/,
      error: /MiB|memory|did not answer/,
      timeoutMs: 3_000,
    },
    {
      name: 'of one',
      layer: 'V8’s limit of pages',
      code: '(module (memory (export "memory") 65536) (func (export "_start")))',
      outcome: 'out-of-memory',
      error: /memory/,
    },
  ],
  'an endless loop, synchronous': [clock(module('(loop $on (br $on))'))],
  'an endless loop, asynchronous': [
    {
      ...clock(
        module(
          `(i64.store (i32.const 24) (i64.const -1)) (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))`,
          wasi('poll_oneoff', 'i32 i32 i32 i32'),
        ),
      ),
      name: 'a sleep without end',
    },
  ],
  'an endless loop of microtasks': 'A module has no promises and no microtasks.',
  'an endless regular expression': 'A regular expression would be the module’s own code: a loop as above.',
  'floods of output': [
    {
      name: 'standard output',
      layer: 'the limit of an answer',
      code: flood(1, 65_520),
      outcome: 'response-too-large',
      error: /more than \d+ bytes/,
    },
    {
      name: 'standard output, byte by byte',
      layer: 'the limit of an answer',
      code: flood(1, 1),
      outcome: 'response-too-large',
      error: /more than \d+ bytes/,
      timeoutMs: 20_000,
    },
    { ...clock(flood(2, 65_520), 500), name: 'standard error', layer: 'the limit of a log, and the host’s clock' },
  ],
  'forged frames on standard output': [
    {
      name: 'an answer for a job that was never sent',
      layer: 'the harness: what a module writes is a body',
      code: `(module ${write} (memory (export "memory") 1) (data (i32.const 16) "\\05\\00\\00\\00\\44\\63\\00\\00\\00")
        (func (export "_start") (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 9))
          (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`,
      outcome: 'ok',
      says: /^[^A-Za-z]{4}Dc[^A-Za-z]{3}$/,
    },
  ],
  'giant frames': samePipe,
  'malformed frames': samePipe,
  'timing out during start-up': [
    {
      name: 'by much to compile',
      layer: 'the host’s clock',
      code: `(module (memory (export "memory") 1) (func (export "_start")) ${Array.from(
        { length: 20_000 },
        (_, i) => `(func (export "f${i}") ${'(drop (i32.add (i32.const 1) (i32.const 2)))'.repeat(20)})`,
      ).join('')})`,
      loads: 'timed-out',
    },
    {
      ...clock(
        '(module (memory (export "memory") 1) (func (export "_initialize") (loop $on (br $on))) (func (export "orb_alloc") (param i32) (result i32) (i32.const 0)) (func (export "handle") (param i32 i32) (result i64) (i64.const 0)))',
      ),
      name: 'by a loop in a reactor’s _initialize',
    },
  ],
  'huge output': [
    {
      name: 'a list of buffers beyond its memory',
      layer: 'the bounds of its memory',
      code: module('(drop (call $fd_write (i32.const 1) (i32.const 65532) (i32.const 1000000) (i32.const 0)))', write),
      outcome: 'ok',
    },
  ],
  'hostile output': [{ name: 'a trap', layer: 'WebAssembly itself', code: module('unreachable'), error: /unreachable/ }],
  'zip bombs as request bodies':
    'Nobody unfolds a body before a module has it, and what it unfolds itself is its own memory: the rows of memory bombs.',
  'work left behind after the answer': 'A command’s instance ends with its call, and nothing of a module runs between calls.',
  'another tenant’s data on a reused instance': [
    {
      layer: 'a process for each version and tenant',
      test: 'another tenant never gets a process that code has been in, whatever the version',
    },
    { layer: 'an instance for each call of a command', test: 'start anew for each call' },
  ],
  'a socket or files swapped for symlinks to the host’s': 'A module has no file, and the host follows no path of a function’s.',
};
