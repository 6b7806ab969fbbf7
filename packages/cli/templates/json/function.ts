import type { Handler } from '@orb/types';

interface Input {
  readonly name?: string;
}

/** JSON in, JSON out. What it prints is in `orb logs`. */
const greet: Handler<Input | null> = (input) => {
  const name = input?.name?.trim() || 'stranger';
  console.log('greeting', name);
  return { message: `Hello, ${name}! This ran on a computer that somebody lent to Orb.` };
};

export default greet;
