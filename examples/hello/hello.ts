/** A first function: JSON in, JSON out. Deploy it with `orb deploy examples/hello/hello.ts`. */
interface Input {
  readonly name?: string;
}

export default function hello(input: Input | undefined) {
  const name = input?.name?.trim() || 'stranger';
  return { message: `Hello, ${name}! This ran on a computer that somebody lent to Orb.` };
}
