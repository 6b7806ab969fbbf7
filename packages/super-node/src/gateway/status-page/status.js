// The status page: one snapshot after the other, over server-sent events. Everything shown comes from strangers, so it
// is only ever set as text.
const $ = (id) => document.getElementById(id);
const credits = (units) => {
  const padded = units.padStart(10, '0');
  const fraction = padded.slice(-9).replace(/0+$/, '');
  return padded.slice(0, -9) + (fraction && `.${fraction}`);
};
const ms = (us) => (us < 10_000 ? (us / 1000).toFixed(2) : Math.round(us / 1000).toLocaleString('en')) + ' ms';
const short = (id) => id.slice(0, 10);

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}
const cell = (content, className = '') => element('td', className, content);
const row = (...cells) => element('tr', '', ...cells);

function idCell(id, shown = short(id)) {
  const node = cell(shown, 'id');
  node.title = id;
  return node;
}

function meter(value, of) {
  const fill = element('i');
  fill.style.width = `${of > 0 ? Math.min(100, (100 * value) / of) : 0}%`;
  return element('span', 'meter', fill);
}

function nodeRow(node) {
  const jobs = element('td', '', meter(node.active, node.slots), `${node.active} of ${node.slots}`);
  return row(
    cell(element('span', node.accepting ? '' : 'quiet', node.label + (node.accepting ? '' : ' (paused)'))),
    cell(node.account),
    cell(node.isolation, 'quiet'),
    cell(`${node.memoryMiB.toLocaleString('en')} MiB`, 'n'),
    cell(`${node.rate} / MiB·ms`, 'n'),
    jobs,
    cell(node.rttMs === null ? '–' : `${node.rttMs.toFixed(1)} ms`, 'n'),
    cell(String(node.seeds), 'n'),
  );
}

function functionRow(fn) {
  const good = fn.state === 'active' && fn.ready > 0;
  const replicas = element('td', '', meter(fn.ready, fn.wanted), `${fn.ready} of ${fn.wanted} ready`);
  return row(cell(fn.name), cell(fn.state, good ? 'good' : 'quiet'), cell(fn.version === null ? '–' : String(fn.version), 'n'), replicas);
}

function jobRow(job, labels) {
  const total = job.prcUs + job.setupUs + job.runUs;
  const bar = element('span', 'bar');
  for (const [name, us] of [
    ['prc', job.prcUs],
    ['setup', job.setupUs],
    ['run', job.runUs],
  ]) {
    const part = element('i', name);
    part.style.width = `${total > 0 ? (100 * us) / total : 0}%`;
    part.title = `${name}: ${ms(us)}`;
    bar.append(part);
  }
  return row(
    cell(new Date(job.doneAtMs).toLocaleTimeString(), 'quiet'),
    cell(job.function),
    cell(job.outcome, job.outcome === 'ok' ? 'good' : 'bad'),
    idCell(job.node, labels.get(job.node) ?? short(job.node)),
    cell(bar),
    cell(ms(total), 'n'),
    cell(credits(job.costUnits), 'n'),
    idCell(job.id, `${job.id.slice(0, 6)}…-${job.id.split('-')[1]}`),
  );
}

function superNodeRow(superNode) {
  return row(cell(superNode.gateway + (superNode.self ? ' (this one)' : '')), cell(superNode.account), idCell(superNode.id));
}

function peerRow({ account, height, heardMs }, head) {
  const lag = height === null ? '–' : (head - height).toLocaleString('en');
  const heard = heardMs === null ? '–' : `${(heardMs / 1000).toFixed(1)} s ago`;
  return row(cell(account), cell(height === null ? '–' : height.toLocaleString('en'), 'n'), cell(lag, 'n'), cell(heard, 'n'));
}

function finalityText({ finality }) {
  if (!finality) return 'unknown: those who keep the co-signatures cannot be reached';
  const { final, needed, peers } = finality;
  if (peers.length === 0) return 'orderer-only: no peers are listed';
  if (final === null) return `orderer-only: fewer than ${needed} of ${peers.length} peers have co-signed`;
  const signed = peers.filter(({ height }) => height !== null && height >= final).length;
  return `final (${signed} of ${peers.length}) up to block ${final.toLocaleString('en')}`;
}

function show(status) {
  const labels = new Map(status.nodes.map((node) => [node.id, node.label]));
  $('network-name').textContent = status.network.name;
  document.title = `${status.network.name} · Orb network`;
  const figures = {
    nodes: status.nodes.length,
    functions: status.functionCount,
    jobs: status.totals.jobs,
    running: status.totals.running,
    unsettled: status.totals.unsettled,
    height: status.ledger.height,
  };
  for (const [name, value] of Object.entries(figures)) $(`f-${name}`).textContent = value.toLocaleString('en');
  $('nodes').replaceChildren(...status.nodes.map(nodeRow));
  $('functions').replaceChildren(...status.functions.map(functionRow));
  $('jobs').replaceChildren(...status.jobs.slice(0, 12).map((job) => jobRow(job, labels)));
  $('super-nodes').replaceChildren(...status.superNodes.map(superNodeRow));
  $('l-height').textContent = status.ledger.height.toLocaleString('en');
  $('l-epoch').textContent = status.ledger.epoch.toLocaleString('en');
  $('l-time').textContent = new Date(status.ledger.time).toLocaleString();
  $('l-state').textContent = status.ledger.state;
  $('l-chain').textContent = status.network.chain;
  $('l-finality').textContent = finalityText(status.ledger);
  $('peers').replaceChildren(...(status.ledger.finality?.peers ?? []).map((peer) => peerRow(peer, status.ledger.height)));
  $('peers-table').hidden = !status.ledger.finality?.peers.length;
}

function live(state, text) {
  $('live').dataset.state = state;
  $('live').textContent = text;
}

const events = new EventSource('/v1/events');
events.addEventListener('status', (event) => {
  show(JSON.parse(event.data));
  live('live', 'live');
});
events.addEventListener('error', () => live('lost', 'connection lost, trying again'));
