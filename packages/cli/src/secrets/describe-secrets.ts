import type { Recipients } from '@orb/sdk';
import { shortId } from '../terminal/format.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { renderFacts } from '../terminal/table.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { ChangedSecrets } from './secrets-desk.ts';
import { recipientsOf, type SyncReport } from './sync-secrets.ts';

/** What a command says with `--json`. No value is in it. */
export function secretsJson({ identity, file, report }: ChangedSecrets): object {
  return {
    function: `${identity.owner}/${identity.name}`,
    id: identity.id,
    number: report?.number ?? file.number,
    names: Object.keys(file.values).sort(),
    recipients: { nodes: file.recipients.nodes, providers: file.recipients.accounts, isolation: file.recipients.isolation },
    handedOut: report ? reportJson(report) : null,
  };
}

/** Which nodes may have them and hold them, and which super nodes could not be asked. */
export function reportJson(report: SyncReport): object {
  return {
    number: report.number,
    names: report.names,
    sealed: report.sealed,
    nodes: recipientsOf(report),
    superNodes: report.superNodes.map(({ superNode, trouble }) => ({ superNode, ...(trouble && { error: trouble.toJSON() }) })),
  };
}

export function describeSecrets({ identity, file, report }: ChangedSecrets, { style }: Terminal): string {
  const path = `${identity.owner}/${identity.name}`;
  const facts: [string, string][] = [
    ['secrets', Object.keys(file.values).sort().join(', ') || 'none'],
    ['may have them', describeRecipients(file.recipients)],
    ...(report ? reportFacts(report) : [['held by', 'nobody: the function is not deployed yet'] as [string, string]]),
  ];
  return [
    `${style.good('✓')} ${style.strong(path)} ${style.quiet(`secrets number ${report?.number ?? file.number}`)}`,
    renderFacts(facts, style, '  '),
  ].join('\n');
}

function reportFacts(report: SyncReport): [string, string][] {
  const all = recipientsOf(report);
  const holding = all.filter(({ holds }) => holds !== null && holds >= report.number);
  const waiting = all.filter((node) => !holding.includes(node));
  const troubles = report.superNodes.flatMap(({ superNode, trouble }): [string, string][] =>
    trouble ? [['not handed out', `super node ${shortId(superNode)}: ${cleanText(trouble.message)}`]] : [],
  );
  return [
    ['held by', holding.map(labelOf).join(', ') || (all.length === 0 ? 'nobody: no node that may have them is online' : 'nobody yet')],
    ...(waiting.length > 0 ? [['ready for', `${waiting.map(labelOf).join(', ')}, once they run the function`] as [string, string]] : []),
    ...troubles,
  ];
}

function labelOf({ label, node }: { readonly label: string; readonly node: string }): string {
  return `${cleanText(label)} (${shortId(node)})`;
}

function describeRecipients({ nodes, accounts, isolation }: Recipients): string {
  const who = [...accounts.map(({ name }) => `nodes of ${name}`), ...nodes.map((id) => `node ${shortId(id)}`)].join(', ');
  if (isolation === null) return who || 'nobody';
  return who ? `${who}, where they isolate by ${isolation} or stronger` : `every node that says it isolates by ${isolation} or stronger`;
}
