// What a WebAssembly module must look like to be a function: found from its imports and exports alone, so that `orb deploy`
// can say what is wrong before anything is published. docs/reference/wasm.md is its description for people.

/** The system interface: WASI preview 1. */
export const wasiModule = 'wasi_snapshot_preview1';
/** What Orb itself gives a module. */
export const orbModule = 'orb';
/** Functions of {@link orbModule}. */
const orbFunctions = ['fail', 'log'];

/** All functions of WASI preview 1, as `wasi_snapshot_preview1.witx` lists them. */
export const wasiFunctions = [
  'args_get',
  'args_sizes_get',
  'environ_get',
  'environ_sizes_get',
  'clock_res_get',
  'clock_time_get',
  'fd_advise',
  'fd_allocate',
  'fd_close',
  'fd_datasync',
  'fd_fdstat_get',
  'fd_fdstat_set_flags',
  'fd_fdstat_set_rights',
  'fd_filestat_get',
  'fd_filestat_set_size',
  'fd_filestat_set_times',
  'fd_pread',
  'fd_prestat_get',
  'fd_prestat_dir_name',
  'fd_pwrite',
  'fd_read',
  'fd_readdir',
  'fd_renumber',
  'fd_seek',
  'fd_sync',
  'fd_tell',
  'fd_write',
  'path_create_directory',
  'path_filestat_get',
  'path_filestat_set_times',
  'path_link',
  'path_open',
  'path_readlink',
  'path_remove_directory',
  'path_rename',
  'path_symlink',
  'path_unlink_file',
  'poll_oneoff',
  'proc_exit',
  'proc_raise',
  'sched_yield',
  'random_get',
  'sock_accept',
  'sock_recv',
  'sock_send',
  'sock_shutdown',
];

const known = { [wasiModule]: wasiFunctions, [orbModule]: orbFunctions };

/**
 * Compiles a module, and finds how it answers: as a command, which runs from `_start` to its end for each call, or as a
 * reactor, which stays and has a function called.
 * @param {Uint8Array} code @param {string} handler the manifest's: `auto`, or an export's name
 * @throws TypeError, CompileError with words for the function's owner
 */
export async function compileWasm(code, handler) {
  const module = await WebAssembly.compile(code);
  const { imports, exports } = WebAssembly.Module;
  return { module, ...shapeOf(imports(module), exports(module), handler) };
}

/**
 * @param {{ module: string, name: string, kind: string }[]} imports @param {{ name: string, kind: string }[]} exports
 * @param {string} handler
 */
function shapeOf(imports, exports, handler) {
  for (const each of imports) checkImport(each);
  const kinds = new Map(exports.map(({ name, kind }) => [name, kind]));
  const entry = handler === 'auto' ? (kinds.get('_start') === 'function' ? '_start' : 'handle') : handler;
  if (kinds.get(entry) !== 'function')
    throw new TypeError(
      handler === 'auto'
        ? 'The module exports neither _start, as a command does, nor handle, as a reactor does.'
        : `The module exports no function ${handler}.`,
    );
  if (kinds.get('memory') !== 'memory') throw new TypeError('The module does not export its memory under the name memory.');
  const command = entry === '_start';
  if (!command && kinds.get('orb_alloc') !== 'function')
    throw new TypeError(`The module exports no function orb_alloc, which makes room for the input of ${entry}.`);
  return { command, entry };
}

/** @param {{ module: string, name: string, kind: string }} wanted */
function checkImport({ module, name, kind }) {
  if (kind === 'function' && Object.hasOwn(known, module) && known[module].includes(name)) return;
  const shown = `${module}.${name}`.slice(0, 128);
  throw new TypeError(`The module imports ${shown} (${kind}), which there is not: Orb gives ${wasiModule} and ${orbModule}.`);
}
