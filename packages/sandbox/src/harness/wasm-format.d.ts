/** Types of wasm-format.js for whoever deploys modules. */
/**
 * Compiles a module, and finds how it answers.
 * @throws TypeError, CompileError with words for the function's owner when it cannot
 */
export declare function compileWasm(code: Uint8Array, handler: string): Promise<{ readonly command: boolean; readonly entry: string }>;
