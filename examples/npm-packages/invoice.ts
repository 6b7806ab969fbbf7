/** Popular npm packages in one function: checks an order, counts it up, signs it, prints it as PDF. */
import { addDays, format, parseISO } from 'date-fns';
import { SignJWT, jwtVerify } from 'jose';
import _ from 'lodash';
import { PDFDocument, StandardFonts, rgb } from 'pdf-lib';
import { z } from 'zod';
import type { Handler } from '@orb/types';

const orderSchema = z.object({
  customer: z.email(),
  date: z.iso.date(),
  items: z
    .array(z.object({ name: z.string().min(1), group: z.string().default('other'), cents: z.int().positive(), count: z.int().positive() }))
    .min(1)
    .max(100),
  as: z.enum(['json', 'pdf']).default('json'),
});
type Order = z.output<typeof orderSchema>;

/** Until functions have secrets, a key in the code proves nothing to anybody. */
const key = new TextEncoder().encode('an example key, in the code, so worth nothing');

const invoice: Handler = async (input) => {
  const parsed = orderSchema.safeParse(input);
  if (!parsed.success) return Response.json({ errors: z.flattenError(parsed.error).fieldErrors }, { status: 422 });
  const order = parsed.data;
  const totals = _.mapValues(_.groupBy(order.items, 'group'), (items) => _.sumBy(items, ({ cents, count }) => cents * count));
  const due = format(addDays(parseISO(order.date), 14), 'd MMMM yyyy');
  if (order.as === 'pdf') return new Response(await print(order, due), { headers: { 'content-type': 'application/pdf' } });
  const token = await new SignJWT({ totals })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(order.customer)
    .setExpirationTime('5m')
    .sign(key);
  const { payload } = await jwtVerify(token, key, { subject: order.customer });
  return { totals, due, token, subject: payload.sub };
};
export default invoice;

async function print(order: Order, due: string): Promise<Uint8Array<ArrayBuffer>> {
  const document = await PDFDocument.create();
  document.setTitle(`Invoice for ${order.customer}`);
  const page = document.addPage([420, 595]);
  const font = await document.embedFont(StandardFonts.Helvetica);
  const lines = [`Invoice for ${order.customer}`, ...order.items.map(({ name, count }) => `${count} x ${name}`), `Due ${due}`];
  lines.forEach((line, index) => page.drawText(line, { x: 40, y: 540 - index * 20, size: 12, font, color: rgb(0, 0, 0.2) }));
  return (await document.save()) as Uint8Array<ArrayBuffer>;
}
