import { OrbError, type TransactionBody } from '@orb/protocol';
import { addUnits, positiveUnits, takeUnits } from './balances.ts';
import { actAs, requireAccount, type Context } from './context.ts';

/** `transfer`: a positive amount from one account to a different one. */
export function transfer(context: Context, { from, sequence, to, units: text }: TransactionBody<'transfer'>): void {
  const units = positiveUnits(text, 'The transferred amount');
  if (from === to) throw new OrbError('invalid-request', { message: 'A transfer needs two different accounts.' });
  if (from === context.env.treasury) throw new OrbError('forbidden', { message: 'The treasury does not transfer; it mints.' });
  actAs(context, from, sequence);
  requireAccount(context, to);
  takeUnits(context, from, units);
  addUnits(context, to, units);
}
