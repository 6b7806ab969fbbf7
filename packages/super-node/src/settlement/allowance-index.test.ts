import { expect, test } from 'vitest';
import { AllowanceIndex } from './allowance-index.ts';

const allowance = (payer: string, functions: '*' | string[], expires: number) => ({ record: { payer, functions, expires } });
const any = () => true;

test('the one that ends first pays, whether it is for the function or for all', () => {
  const index = new AllowanceIndex<ReturnType<typeof allowance>>();
  const [late, early, general] = [allowance('a', ['f', 'g'], 30), allowance('a', ['f'], 10), allowance('a', '*', 20)];
  for (const one of [late, early, general]) index.add(one);
  expect(index.find('a', 'f', any)).toBe(early);
  expect(index.find('a', 'g', any)).toBe(general);
  expect(index.find('a', 'g', (one) => one !== general)).toBe(late);
  expect(index.find('b', 'f', any)).toBeUndefined();
  index.remove(early);
  expect(index.find('a', 'f', any)).toBe(general);
  index.remove(general);
  expect(index.find('a', 'f', any)).toBe(late);
  index.remove(late);
  expect(index.find('a', 'f', any)).toBeUndefined();
});

test('an owner of ten thousand allowances is asked about those of the function alone', () => {
  const index = new AllowanceIndex<ReturnType<typeof allowance>>();
  for (let number = 0; number < 10_000; number++) index.add(allowance('a', [`f${number}`], number));
  let asked = 0;
  const count = () => {
    asked += 1;
    return true;
  };
  expect(index.find('a', 'f9999', count)?.record.expires).toBe(9_999);
  expect(asked).toBe(1);
});
