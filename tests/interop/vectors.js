// Runs every file of protocol/vectors: node vectors.js [FOLDER]. The status is 0 when all tests pass.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { attachments } from './areas/attachments.js';
import { backup } from './areas/backup.js';
import { codec } from './areas/codec.js';
import { discovery } from './areas/discovery.js';
import { entriesArea as entries, receipts } from './areas/entries.js';
import { linking } from './areas/linking.js';
import { links } from './areas/links.js';
import { noise } from './areas/noise.js';
import { pairing } from './areas/pairing.js';
import { persons } from './areas/persons.js';
import { primitives } from './areas/primitives.js';
import { relays } from './areas/relays.js';
import { secrets } from './areas/secrets.js';
import { sessions } from './areas/sessions.js';
import { siblings } from './areas/siblings.js';
import { padding, profile, safety } from './areas/small.js';
import { Rejected } from './errors.js';

const AREAS = {
  attachments,
  backup,
  codec,
  discovery,
  entries,
  linking,
  links,
  noise,
  padding,
  pairing,
  persons,
  primitives,
  profile,
  receipts,
  relays,
  safety,
  secrets,
  sessions,
  siblings,
};
// The shape of the files, and ciphertexts that their generator needs: neither holds tests.
const NO_AREAS = ['schema.json', 'kem.json', 'mldsa.json'];
const usual = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..', 'protocol', 'vectors');

// What went wrong in a test, or null. Only the last step may be refused, and only with the class it names.
function fault(area, group, test) {
  const inputs = { ...group.inputs, ...test.inputs };
  const steps = AREAS[area](inputs, [...(inputs.before ?? []), ...test.steps]);
  for (const [n, step] of steps.entries()) {
    const last = n === steps.length - 1;
    const result = outcome(step);
    const due = last ? test.expect : 'success';
    if (result.class !== due) return `step ${n + 1}: ${result.text} instead of ${due}`;
    if (last && test.rule && result.rule !== test.rule) return `${result.rule} instead of ${test.rule}`;
  }
  return null;
}

function outcome(step) {
  try {
    step();
    return { class: 'success', text: 'success' };
  } catch (error) {
    if (error instanceof Rejected) return { class: error.errorClass, rule: error.rule, text: error.message };
    return { class: 'fault', text: process.env.READER_TRACE ? error.stack : error.message };
  }
}

function runTest(area, group, test) {
  try {
    return fault(area, group, test);
  } catch (error) {
    return process.env.READER_TRACE ? error.stack : error.message;
  }
}

function runArea(file) {
  const { area, groups } = JSON.parse(readFileSync(file, 'utf8'));
  const count = { passed: 0, failed: 0 };
  for (const group of groups) {
    for (const test of group.tests) {
      const wrong = AREAS[area] ? runTest(area, group, test) : 'this area is not known here';
      count[wrong ? 'failed' : 'passed'] += 1;
      if (wrong) console.log(`${test.id} (${test.comment}): ${wrong}`);
    }
  }
  console.log(`${area}: ${count.passed} passed, ${count.failed} failed`);
  return count;
}

function main(folder = usual) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json') && !NO_AREAS.includes(name));
  const counts = names.sort().map((name) => runArea(path.join(folder, name)));
  const sum = (key) => counts.reduce((total, count) => total + count[key], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = sum('failed') || !sum('passed') ? 1 : 0;
}

main(...process.argv.slice(2));
