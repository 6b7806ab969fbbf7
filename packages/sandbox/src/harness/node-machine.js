// What Node tells of its computer, as a function may know it. Without permissions Deno throws where Node would answer, and
// packages ask when they are loaded: for the name of the host, for a file that need not be there, for the environment.
const { assign, defineProperty } = Object;

/** @param {any} process Node's `process` @param {Readonly<Record<string, string>>} env the function's own */
export function giveEnvironment(process, env) {
  defineProperty(process, 'env', { value: environment(env), enumerable: true, configurable: true, writable: true });
}

/** @param {any} fs Node's `fs` */
export function forgiveMissingFiles(fs) {
  const { existsSync } = fs;
  fs.existsSync = (/** @type {unknown} */ path) => {
    try {
      return existsSync(path);
    } catch {
      return false;
    }
  };
}

/** @param {any} os Node's `os` @param {any} process */
export function describeMachine(os, process) {
  const heap = () => process.getBuiltinModule('v8').getHeapStatistics();
  assign(os, {
    hostname: () => 'function',
    homedir: () => '/',
    release: () => '',
    version: () => '',
    machine: () => process.arch,
    uptime: () => process.uptime(),
    cpus: () => [],
    totalmem: () => heap().heap_size_limit,
    freemem: () => heap().total_available_size,
    loadavg: () => [0, 0, 0],
    networkInterfaces: () => ({}),
    userInfo: () => ({ uid: -1, gid: -1, username: 'nobody', homedir: '/', shell: null }),
  });
}

/** The function's own to change. As with Node, values are text. @param {Readonly<Record<string, string>>} env */
function environment(env) {
  return new Proxy(
    /** @type {Record<string, string>} */ ({ ...env }),
    {
      set: (values, name, value) => Reflect.set(values, name, String(value)),
      defineProperty: (values, name, descriptor) =>
        Reflect.defineProperty(values, name, 'value' in descriptor ? { ...descriptor, value: String(descriptor.value) } : descriptor),
    },
  );
}
