// Reduces sets of unsigned operations, one per line of standard input: {operations, seen, confirmed} in hex.
// It prints what each means, as the vectors have it.
import { createInterface } from 'node:readline';
import { reduced } from './areas/persons.js';
import { reduceUnsigned } from './log.js';

const plain = (_, value) => (value?.type === 'Buffer' ? Buffer.from(value.data).toString('hex') : value);

for await (const line of createInterface({ input: process.stdin })) {
  const { operations, ...pins } = JSON.parse(line);
  const log = reduceUnsigned(
    operations.map((one) => Buffer.from(one, 'hex')),
    pins,
  );
  console.log(JSON.stringify(reduced(log), plain));
}
