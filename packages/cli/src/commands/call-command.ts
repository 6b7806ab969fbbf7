import type { Command } from 'commander';
import { OrbError, asOrbError, formatCredits, fromUtf8, isOrbError, limits } from '@orb/protocol';
import { readBytes, streamBody, type CallInfo, type CallStream, type Orb } from '@orb/sdk';
import { FunctionFiles } from '../deploy/function-files.ts';
import { paidFunction, topUpAfterRefusal } from '../deploy/top-up.ts';
import type { Session } from '../session/session.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { shortId } from '../terminal/format.ts';
import { StreamPrinter } from '../terminal/stream-printer.ts';
import type { CommandContext } from './command-context.ts';
import { readInput, streamInput, type InputFlags } from './read-input.ts';

interface CallFlags extends InputFlags {
  readonly method?: string;
  readonly path?: string;
  readonly header?: readonly (readonly [string, string])[];
  readonly buffer: boolean;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly bytes: Uint8Array;
  readonly info: CallInfo;
}

/** `orb call OWNER/NAME` */
export function addCallCommand(program: Command, context: CommandContext): void {
  program
    .command('call')
    .description('call a function; its output goes to stdout as it is')
    .argument('<function>', 'OWNER/NAME, or NAME of your own')
    .argument('[input]', 'the input, or - to read it from stdin')
    .option('-d, --data <text>', 'the input')
    .option('-f, --file <file>', 'a file with the input; any bytes')
    .option('-X, --method <method>', 'send a web request with this method instead of an event')
    .option('--path <path>', 'path and query below the function, for a web request')
    .option('-H, --header <header>', 'a header, "name: value", for a web request; may be given more than once', collectHeader)
    .option('--no-buffer', 'print the output as it comes, of any size; a web request also sends a file or stdin so')
    .action(async (path: string, word: string | undefined, flags: CallFlags, command: Command) =>
      call(context.session(command), path, word, flags),
    );
}

function collectHeader(text: string, previous: readonly (readonly [string, string])[] = []): readonly (readonly [string, string])[] {
  const colon = text.indexOf(':');
  if (colon < 1)
    throw new OrbError('invalid-request', {
      message: `${JSON.stringify(text.slice(0, 80))} is not a header.`,
      hint: 'Write it as "name: value".',
    });
  return [...previous, [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]];
}

async function call(session: Session, given: string, word: string | undefined, flags: CallFlags): Promise<void> {
  const path = await session.callPath(given);
  try {
    await (flags.buffer ? callWhole : callStreaming)(session, path, word, flags);
  } catch (error) {
    throw await withLogHint(session, path, error);
  }
}

/** Of your own function, its log says more. */
async function withLogHint(session: Session, path: string, error: unknown): Promise<unknown> {
  if (!isOrbError(error) || error.faultOf !== 'function' || error.hint !== undefined) return error;
  const [owner = '', name = ''] = path.split('/');
  if (!(await session.keys.accounts()).includes(owner)) return error;
  const { code, message, details } = error;
  return new OrbError(code, { message, hint: `See where: orb logs ${owner}/${name}`, ...(details && { details }), cause: error });
}

async function callWhole(session: Session, path: string, word: string | undefined, flags: CallFlags): Promise<void> {
  const body = await readInput(flags, word, session.terminal.streams.stdin);
  const typed = isTyped(flags, word);
  const answer = await withTopUp(session, path, () => sendCall(session, path, body, flags, typed));
  if (session.options.verbose) describeCall(answer, session);
  if (session.options.json) session.result(jsonAnswer(answer), () => '');
  else await printOutput(answer.bytes, session);
  checkStatus(answer.status);
}

function checkStatus(status: number): void {
  if (status >= 400) throw new OrbError(status === 404 ? 'not-found' : 'function-failed', { message: `The function answered ${status}.` });
}

/** The output as it comes. */
async function callStreaming(session: Session, path: string, word: string | undefined, flags: CallFlags): Promise<void> {
  if (session.options.json) throw new OrbError('invalid-request', { message: '--json needs the whole output: leave --no-buffer out.' });
  const { stdin } = session.terminal.streams;
  const source = isWeb(flags) ? await streamInput(flags, word, stdin) : undefined;
  const input = source ?? (await readInput(flags, word, stdin));
  // What came by stdin is gone: it cannot be sent again.
  const send = () => openCall(session, path, input, flags, isTyped(flags, word));
  const { status, body, info } = await (source ? send() : withTopUp(session, path, send));
  const printer = new StreamPrinter(session.terminal);
  for await (const piece of body) await printer.print(piece);
  printer.end();
  if (session.options.verbose) describeCall({ status, info }, session);
  checkStatus(status);
}

async function openCall(
  session: Session,
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
  flags: CallFlags,
  typed: boolean,
): Promise<CallStream> {
  const orb = await callerOf(session);
  if (!isWeb(flags)) {
    const { input, contentType } = eventOf(body instanceof Uint8Array ? body : undefined, typed);
    return orb.stream(path, input, { signal: session.signal, ...(contentType && { contentType }) });
  }
  const { response, info } = await sendWeb(orb, session, path, body, flags);
  return { status: response.status, contentType: contentTypeOf(response), body: streamBody(response), info };
}

/** Owners' calls open the next allowance by themselves, within the function's budget. Refused calls did nothing: they are sent again. */
async function withTopUp<T>(session: Session, path: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!isOrbError(error) || error.code !== 'payment-required' || !(await topUpOwn(session, path))) throw error;
    return send();
  }
}

/** @returns false where the function is not of an account on this machine, or cannot be paid for within its budget */
async function topUpOwn(session: Session, path: string): Promise<boolean> {
  const ownerName = path.split('/')[0] ?? '';
  if (!(await session.keys.accounts()).includes(ownerName)) return false;
  const { terminal } = session;
  try {
    const { orb, owner } = await session.orbAs(ownerName);
    const fn = await paidFunction(
      path.split('/').slice(0, 2).join('/'),
      orb,
      new FunctionFiles({ home: session.home }, { keys: session.keys }),
    );
    const opened = await topUpAfterRefusal(fn, { orb, owner });
    for (const { openedUnits } of opened)
      terminal.note(terminal.noteStyle.quiet(`Set aside ${formatCredits(openedUnits)} credits more for ${path}, within its budget.`));
    return opened.length > 0;
  } catch (error) {
    terminal.note(terminal.noteStyle.warn(`! No more could be set aside for ${path}: ${asOrbError(error).message}`));
    return false;
  }
}

function isWeb({ method, path, header }: CallFlags): boolean {
  return method !== undefined || path !== undefined || header !== undefined;
}

async function sendCall(session: Session, path: string, body: Uint8Array | undefined, flags: CallFlags, typed: boolean): Promise<Answer> {
  const orb = await callerOf(session);
  if (!isWeb(flags)) {
    const { input, contentType } = eventOf(body, typed);
    return orb.call(path, input, { signal: session.signal, ...(contentType && { contentType }) });
  }
  const { response, info } = await sendWeb(orb, session, path, body, flags);
  const bytes = await readBytes(response, limits.bodyBytes).catch(suggestStreaming);
  return { status: response.status, contentType: contentTypeOf(response), bytes, info };
}

function suggestStreaming(error: unknown): never {
  const { code, message } = asOrbError(error);
  if (code !== 'too-large') throw error;
  throw new OrbError(code, { message, hint: 'Read it as it comes: orb call --no-buffer' });
}

async function sendWeb(
  orb: Orb,
  session: Session,
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
  flags: CallFlags,
): Promise<{ readonly response: Response; readonly info: CallInfo }> {
  const method = (flags.method ?? (body ? 'POST' : 'GET')).toUpperCase();
  if (body && (method === 'GET' || method === 'HEAD'))
    throw new OrbError('invalid-request', { message: `A ${method} request has no body.`, hint: 'Choose another --method.' });
  const target = `${path}${flags.path === undefined ? '' : flags.path.startsWith('/') || flags.path.startsWith('?') ? flags.path : `/${flags.path}`}`;
  return orb.fetch(target, { method, headers: flags.header ?? [], ...(body && { body }), signal: session.signal });
}

function contentTypeOf(response: Response): string {
  return response.headers.get('content-type') ?? '';
}

// A key is opened only where a default account stands ready without questions: most functions are public.
async function callerOf(session: Session) {
  return session.options.account === undefined ? session.orb() : (await session.orbAs()).orb;
}

/** Whether the input stands on the command line, not in a file. */
function isTyped({ data }: CallFlags, word: string | undefined): boolean {
  return data !== undefined || (word !== undefined && word !== '-');
}

/**
 * JSON goes as JSON, other words on the command line as text, and of a file or standard input the bytes it is.
 * @throws OrbError `invalid-request` for words that were meant as JSON, and are none
 */
function eventOf(bytes: Uint8Array | undefined, typed: boolean): { readonly input: unknown; readonly contentType?: string } {
  if (!bytes) return { input: undefined };
  try {
    return { input: JSON.parse(fromUtf8(bytes)) };
  } catch (cause) {
    if (!typed) return { input: bytes };
    const words = fromUtf8(bytes);
    if (/^\s*[[{"]/.test(words)) {
      throw new OrbError('invalid-request', {
        message: `The input is not JSON: ${(cause as Error).message}`,
        hint: `Put it between single quotes: '{"name":"Ada"}'. What is meant as it is comes from a file: --file FILE, or - for stdin.`,
        cause,
      });
    }
    return { input: bytes, contentType: 'text/plain; charset=utf-8' };
  }
}

async function printOutput(bytes: Uint8Array, { terminal }: Session): Promise<void> {
  if (!terminal.streams.stdout.isTTY) return terminal.printBytes(bytes);
  const text = textOf(bytes);
  if (text === undefined)
    throw new OrbError('invalid-request', {
      message: `The output is ${bytes.byteLength} bytes that are no text.`,
      hint: 'Send it to a file: orb call … > FILE',
    });
  if (text !== '') terminal.print(cleanText(text, { multiline: true, limit: limits.bodyBytes }).replace(/\n$/, ''));
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = fromUtf8(bytes);
    return text.includes('\u0000') ? undefined : text;
  } catch {
    return undefined;
  }
}

function describeCall({ status, info }: Pick<Answer, 'status' | 'info'>, { terminal }: Session): void {
  const { noteStyle: style } = terminal;
  const times = Object.entries(info.times).map(([name, ms]) => `${name} ${ms} ms`);
  terminal.note(style.quiet(`call ${info.call ?? '?'} · job ${info.job ?? '?'} · node ${shortId(info.node ?? '?')} · status ${status}`));
  terminal.note(style.quiet([...times, `round trip ${info.roundTripMs.toFixed(1)} ms`].join(' · ')));
}

function jsonAnswer({ status, contentType, bytes, info }: Answer): object {
  const text = textOf(bytes);
  let output: unknown = text;
  if (text !== undefined && /json/i.test(contentType)) {
    try {
      output = JSON.parse(text);
    } catch {
      output = text;
    }
  }
  return {
    status,
    contentType,
    ...(text === undefined ? { outputBase64: Buffer.from(bytes).toString('base64') } : { output: output ?? null }),
    call: info.call ?? null,
    job: info.job ?? null,
    node: info.node ?? null,
    attempt: info.attempt ?? null,
    timesMs: info.times,
    roundTripMs: info.roundTripMs,
  };
}
