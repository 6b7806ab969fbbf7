// What anything thrown says: to the caller a message, to the function's owner its stack. Nothing here ever throws.
import {
  execute,
  hasInstance,
  matches,
  textEndsWith,
  textIndexOf,
  textSlice,
  textSplit,
  textStartsWith,
  textTrim,
  toText,
} from './primordials.js';

const maxMessageChars = 1_024;
/** Of one error; the log has a limit of its own. */
const maxFrames = 16;
/** An error, what caused it, and what caused that. */
const maxErrors = 3;
const plainName = /^[\x21-\x7e]{1,128}$/;
const place = /:(\d{1,9}):(\d{1,9})\)?$/;
/** What a bundle that is a module is imported from. */
const moduleUrls = ['blob:', 'data:'];
/** Lines that `new Function` puts before a CommonJS bundle. */
const wrapperLines = 2;

/** The words of anything thrown, bounded; never throws itself. @param {unknown} thrown */
export function messageOf(thrown) {
  try {
    const message = hasInstance(Error, thrown) ? wordsOf(/** @type {Error} */ (thrown)) : thrown;
    return textSlice(toText(message), 0, maxMessageChars);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}

/** Deno's advice for what is not permitted is for who starts Deno, which is not who reads this. @param {Error} error */
function wordsOf({ name, message }) {
  const [refused = '', advice] = textSplit(message, ', run again with the --allow-');
  if (advice === undefined) return message || name;
  return `A function has no ${textSplit(refused, 'Requires ')[1] ?? refused}`;
}

/** The name of an error, where it has one that can be shown; never throws itself. @param {unknown} thrown */
export function nameOf(thrown) {
  try {
    const name = hasInstance(Error, thrown) ? toText(/** @type {Error} */ (thrown).name) : '';
    return matches(plainName, name) ? name : '';
  } catch {
    return '';
  }
}

/**
 * An error for its owner's log: name, message and the frames of its own code, as `function.js:LINE:COLUMN` of the bundle,
 * then its causes. The harness's frames are left out. @param {unknown} thrown
 */
export function stackOf(thrown) {
  try {
    let text = '';
    let each = /** @type {any} */ (thrown);
    for (let i = 0; i < maxErrors && hasInstance(Error, each); i++) {
      text += `${i === 0 ? '' : '\ncaused by '}${nameOf(each) || 'Error'}: ${messageOf(each)}${framesOf(each)}`;
      each = each.cause;
    }
    return text || messageOf(thrown);
  } catch {
    return messageOf(thrown);
  }
}

/** @param {Error} error */
function framesOf(error) {
  const lines = textSplit(toText(error.stack), '\n');
  let text = '';
  for (let i = 0, frames = 0; i < lines.length && frames < maxFrames; i++) {
    const frame = ownFrame(textTrim(lines[i]));
    if (frame === '') continue;
    text += `\n    ${frame}`;
    frames++;
  }
  return text;
}

/**
 * V8 writes `at name (function.js, <anonymous>:4:49)` for a bundle made by `new Function`, `at name (blob:null/…:1:27)` for a
 * module, and both without name and parentheses. @param {string} line
 */
function ownFrame(line) {
  if (!textStartsWith(line, 'at ')) return '';
  const script = textIndexOf(line, 'function.js');
  let source = script;
  for (let i = 0; source < 0 && i < moduleUrls.length; i++) source = textIndexOf(line, moduleUrls[i]);
  const found = source < 0 ? null : execute(place, line);
  if (!found) return '';
  const row = +found[1] - (script >= 0 ? wrapperLines : 0);
  const close = textEndsWith(line, ')') ? ')' : '';
  return `${textSlice(line, 0, source)}function.js:${row}:${found[2]}${close}`;
}
