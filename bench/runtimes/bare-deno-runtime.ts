import { bareDeno } from '../bare-deno/row.ts';
import { FramesPipe } from '../load/frames-pipe.ts';
import { privateMiB } from '../measure/processes.ts';
import type { OpenRuntime, Runtime, WarmInstance } from './runtime.ts';

/** Deno without harness, walls or limits, called by frames on its standard input and output. */
export const bareDenoRuntime: Runtime = {
  id: 'bare-deno',
  name: 'bare Deno, frames',
  missing: () => undefined,
  open: (): Promise<OpenRuntime> =>
    Promise.resolve({
      async startCold(_from, body) {
        const instance = startBare();
        const answer = await instance.echo(body);
        await instance.stop();
        return answer;
      },
      startWarm: () => Promise.resolve(startBare()),
      close: () => Promise.resolve(),
    }),
};

const textBytes = 65_536;
const pipelined = 16;

function startBare(): WarmInstance {
  const { command, args, env } = bareDeno();
  const pipe = new FramesPipe(command, args, env);
  /** There is no stream in it: many frames of 64 KiB that are under way together come nearest. */
  const echoMany = async (bytes: number, onAnswer: (answer: Uint8Array) => void) => {
    const body = Buffer.from(JSON.stringify('x'.repeat(textBytes - 2)));
    let left = Math.ceil(bytes / textBytes);
    const one = async () => {
      while (left-- > 0) onAnswer(await pipe.call(body));
    };
    await Promise.all(Array.from({ length: pipelined }, one));
  };
  return {
    concurrency: 64,
    echo: (body) => pipe.call(body),
    async *download(bytes) {
      let count = 0;
      await echoMany(bytes, ({ length }) => (count += length));
      yield new Uint8Array(0);
      if (count < bytes) throw new Error(`${count} of ${bytes} bytes came back.`);
    },
    upload: (bytes) => echoMany(bytes, () => undefined),
    memoryMiB: () => privateMiB(pipe.pid),
    stop: () => pipe.close(),
  };
}
