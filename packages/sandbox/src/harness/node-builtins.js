// Node inside Deno, made ready for a function. Building it takes 25 ms and `fs` another 10: each only when it is asked for.
import { describeMachine, forgiveMissingFiles, giveEnvironment } from './node-machine.js';
import { divertFiles, divertStreams } from './node-output.js';
import { textIndexOf, textSlice, textStartsWith } from './primordials.js';

/**
 * Puts itself before the global `process`.
 * @param {(level: number, line: string) => void} log takes what is written to standard output and error
 */
export function prepareNode(log) {
  const { get: getProcess } = /** @type {{ get: () => any }} */ (Object.getOwnPropertyDescriptor(globalThis, 'process'));
  const prepared = new Set();
  /** @type {any} */
  let own;
  /** @type {any} */
  let shown;
  /** @type {Readonly<Record<string, string>>} */
  let env = {};

  function useProcess() {
    if (own === undefined) {
      own = getProcess();
      own.getBuiltinModule = withPreparation(own.getBuiltinModule);
      divertStreams(own, log);
      giveEnvironment(own, env);
      shown = own;
    }
    return own;
  }

  function withPreparation(/** @type {(name: string) => any} */ find) {
    const once = (/** @type {string} */ name, /** @type {(module: any) => void} */ prepare) => {
      if (prepared.has(name)) return;
      prepared.add(name);
      prepare(find(name));
    };
    return (/** @type {string} */ name) => {
      const short = textStartsWith(name, 'node:') ? textSlice(name, 5) : name;
      // `createRequire` of `module` gives out `fs` as well.
      if (short === 'fs' || short === 'module') {
        once('fs', (fs) => {
          divertFiles(fs, log);
          forgiveMissingFiles(fs);
        });
      } else if (short === 'os') once('os', (os) => describeMachine(os, own));
      return find(name);
    };
  }

  Object.defineProperty(globalThis, 'process', {
    get: () => (useProcess(), shown),
    set: (value) => {
      useProcess();
      shown = value;
    },
    enumerable: true,
    configurable: true,
  });

  return {
    /** Before any code asks for it. @param {Readonly<Record<string, string>>} values */
    giveEnvironment(values) {
      env = values;
    },
    /** @param {string} name @returns {any} undefined for what Node has not got */
    builtin: (name) => useProcess().getBuiltinModule(name),
    /** For the imports of a module, which do not come this way. @param {string} source */
    prepareFor(source) {
      if (textIndexOf(source, 'node:') < 0) return;
      for (const name of ['fs', 'module', 'os', 'process'])
        if (textIndexOf(source, `node:${name}`) >= 0) useProcess().getBuiltinModule(name);
    },
  };
}
