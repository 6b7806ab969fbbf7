import { Orb } from '@orb/sdk';
import { describePayment, namesOfJob } from '../commands/describe-job.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { formatMoney } from '../terminal/format.ts';
import { renderTimeline } from '../terminal/job-timeline.ts';
import type { Style } from '../terminal/style.ts';
import { renderFacts } from '../terminal/table.ts';
import { demoKeyFile } from './demo-accounts.ts';
import type { NetworkSummary } from './run-network.ts';
import type { UpFolder } from './up-folder.ts';

/** What a person wants to know about a network that has just come up. */
export async function describeSummary(summary: NetworkSummary, folder: UpFolder, style: Style): Promise<string> {
  const { url, call, deployment, verified, accounts } = summary;
  const orb = new Orb({ url });
  const [names, demo] = await Promise.all([namesOfJob(orb, call.job), orb.accounts.show(accounts.developer.id)]);
  const title = (text: string) => `  ${style.strong(text)}`;
  return [
    '',
    `  ${style.good('●')} ${style.strong('Orb is running on this computer.')}`,
    '',
    renderFacts(
      [
        ['status page', style.accent(`${url}/`)],
        ['function', style.accent(deployment.url)],
        ['account', `demo, with ${formatMoney(demo.availableUnits)} ${style.quiet(`(key: ${demoKeyFile(folder.home)})`)}`],
        ['data', folder.path],
      ],
      style,
      '  ',
    ),
    '',
    title('Call it'),
    `    curl -H 'content-type: application/json' -d '{"name":"you"}' ${deployment.url}`,
    '',
    title('The first call, from the ledger'),
    `    ${style.quiet('output')}  ${cleanText(JSON.stringify(call.output), { limit: 300 })}`,
    `    ${style.quiet('job')}     ${call.job.job.id} ${style.quiet(`on ${names.node(call.job.job.node)}`)}`,
    '',
    ...(call.job.times ? [indent(renderTimeline(call.job.times, style)), ''] : []),
    indent(describePayment(call.job, names, style)),
    '',
    `  ${style.good('✓ ledger verified')} (height ${verified.head.height}, ${verified.transactions} transactions, ${verified.jobs} ${verified.jobs === 1 ? 'job' : 'jobs'})`,
  ].join('\n');
}

/** What to do next, for a network that stays up. @param options.isDefault whether commands find it by themselves */
export function describeNext(
  { url }: NetworkSummary,
  folder: UpFolder,
  { isDefault }: { readonly isDefault: boolean },
  style: Style,
): string {
  const there = isDefault ? '' : ` --gateway ${url} --account demo`;
  const home = isDefault ? '' : `ORB_HOME=${folder.home} `;
  const orb = process.env['npm_lifecycle_event'] ? 'npm run orb --' : 'orb';
  return [
    '',
    `  ${style.strong('Next')} ${style.quiet('(in another terminal, as demo)')}`,
    `    ${home}${orb} status${there}`,
    `    ${home}${orb} deploy FILE${there}   ${style.quiet('then: call demo/NAME, logs demo/NAME --follow')}`,
    '',
    style.quiet(`  Ctrl-C stops it; the next start goes on with the same data. To remove the network: rm -r ${folder.path}`),
  ].join('\n');
}

/** The same for programs. */
export function summaryJson({ url, network, deployment, call, verified }: NetworkSummary, folder: UpFolder): object {
  return {
    gateway: url,
    statusPage: `${url}/`,
    data: folder.path,
    home: folder.home,
    chain: network.chain,
    superNode: network.superNode,
    function: {
      path: 'demo/hello',
      url: deployment.url,
      version: deployment.version,
      change: deployment.change,
      replicas: { ready: deployment.ready, wanted: deployment.wanted },
    },
    call: { input: call.input, output: call.output, roundTripMs: call.roundTripMs, job: call.job.job, times: call.job.times ?? null },
    ledger: { verified: true, height: verified.head.height, transactions: verified.transactions, jobs: verified.jobs },
  };
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
