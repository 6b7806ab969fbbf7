import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** More files than this do not fail by chance. */
const fewFiles = 3;

/**
 * Runs the tests; a few files that failed run once more, alone, when the machine has nothing else to do. Whatever
 * fails twice fails. What passes the second time is named as unsteady with its first error, so that it is looked into:
 * it is a race in the product or in the test (decision 295).
 * @param run runs a program's arguments to its end, `{code, stopped}` when done (see `runChild`)
 * @param argv what runs all tests with vitest; file names may be added to it
 * @returns the exit code, and whether somebody stopped the tests
 */
export async function runTests(run, argv, root) {
  const folder = mkdtempSync(join(tmpdir(), 'orb-tests-'));
  try {
    const file = join(folder, 'first.json');
    const first = await run([...argv, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`]);
    if (first.code === 0 || first.stopped) return first;
    const failed = failedFiles(file);
    if (failed.length === 0 || failed.length > fewFiles) return first;
    console.error(`\n— ${count(failed.length)} failed and ${failed.length === 1 ? 'runs' : 'run'} once more, alone`);
    const again = await run([...argv, ...failed.map(({ path }) => relative(root, path))]);
    if (again.code === 0) console.error(unsteadyText(failed, root));
    return again;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Files of which a test failed, or which could not be loaded; none when the run broke in another way. */
function failedFiles(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return [];
  }
  return report.testResults
    .filter(({ status }) => status === 'failed')
    .map(({ name, message, assertionResults }) => ({
      path: name,
      errors: assertionResults
        .filter(({ status }) => status === 'failed')
        .map(({ fullName, failureMessages }) => `${fullName}: ${firstLine(failureMessages[0])}`)
        .concat(message ? [firstLine(message)] : []),
    }));
}

function unsteadyText(failed, root) {
  const lines = failed.flatMap(({ path, errors }) => [`  ${relative(root, path)}`, ...errors.map((error) => `    ${error}`)]);
  return ['', 'Unsteady: failed among all tests, passed alone. Look for the race before it costs somebody a day.', ...lines].join('\n');
}

function count(files) {
  return files === 1 ? 'One file' : `${files} files`;
}

function firstLine(text = 'no message') {
  return text.split('\n', 1)[0];
}
