// The harness's own references to what it needs, taken before the function's code is loaded: that code may replace any
// global or prototype method, and then only breaks itself.
const { bind, call } = Function.prototype;
/** @type {(method: Function) => (self: any, ...args: any[]) => any} */
export const uncurry = bind.bind(call);

export const jsonParse = JSON.parse;
export const jsonStringify = JSON.stringify;
export const dateNow = Date.now;
export const microtask = globalThis.queueMicrotask;
export const whenSettled = uncurry(Promise.prototype.then);
export const resolved = Promise.resolve.bind(Promise);
export const hasInstance = uncurry(Function.prototype[Symbol.hasInstance]);
export const prototypeOf = Object.getPrototypeOf;
export const plainObject = Object.prototype;
export const plainArray = Array.prototype;
const isView = ArrayBuffer.isView;
export const toText = String;

export const bytesSet = uncurry(Uint8Array.prototype.set);
export const bytesSlice = uncurry(Uint8Array.prototype.slice);
export const bytesSubarray = uncurry(Uint8Array.prototype.subarray);

export const mapGet = uncurry(Map.prototype.get);
export const mapSet = uncurry(Map.prototype.set);
export const mapDelete = uncurry(Map.prototype.delete);
export const mapValues = uncurry(Map.prototype.values);

export const textSlice = uncurry(String.prototype.slice);
export const textIndexOf = uncurry(String.prototype.indexOf);
export const textStartsWith = uncurry(String.prototype.startsWith);
export const textEndsWith = uncurry(String.prototype.endsWith);
export const textToLowerCase = uncurry(String.prototype.toLowerCase);
export const textSplit = uncurry(String.prototype.split);
export const textTrim = uncurry(String.prototype.trim);
export const arrayPush = uncurry(Array.prototype.push);
export const arrayShift = uncurry(Array.prototype.shift);

export const matches = uncurry(RegExp.prototype.test);
export const execute = uncurry(RegExp.prototype.exec);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8');
const encodeText = uncurry(TextEncoder.prototype.encode);
const encodeTextInto = uncurry(TextEncoder.prototype.encodeInto);
const decodeText = uncurry(TextDecoder.prototype.decode);
/** @type {(text: string) => Uint8Array} */
export const encode = (text) => encodeText(encoder, text);
/** @type {(text: string, into: Uint8Array) => { read: number, written: number }} */
export const encodeInto = (text, into) => encodeTextInto(encoder, text, into);
/** @type {(bytes: Uint8Array) => string} */
export const decode = (bytes) => decodeText(decoder, bytes);

/**
 * The bytes of what a web API takes as bytes; undefined for anything else. A view keeps its own bounds.
 * @param {unknown} value
 * @returns {Uint8Array | undefined}
 */
export function asBytes(value) {
  if (hasInstance(Uint8Array, value)) return /** @type {Uint8Array} */ (value);
  if (isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (hasInstance(ArrayBuffer, value)) return new Uint8Array(/** @type {ArrayBuffer} */ (value));
  return undefined;
}
