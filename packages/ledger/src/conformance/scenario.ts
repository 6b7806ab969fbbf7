import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import {
  accountId,
  acknowledgementRow,
  formatCredits,
  jobId,
  nodeId,
  parseCredits,
  receiptRow,
  sha256,
  stateKeys,
  superNodeId,
  ticketRow,
  type AllowanceRecord,
  type Genesis,
  type JobRow,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { createGenesis } from '../genesis.ts';
import type { Committed } from '../port.ts';
import { TestClock, testManifest, TestNetwork, testSigner } from '../testing/network.ts';
import type { OpenLedger } from './stage.ts';

type Step = Readonly<Record<string, string | number | boolean>> & { readonly do: string };
type Expectation = Readonly<Record<string, string>> & { readonly expect: string; readonly step?: Step };

interface Scenario {
  readonly genesis: {
    readonly name: string;
    readonly time: number;
    readonly salt: string;
    readonly parameters: Partial<Genesis['parameters']>;
  };
  readonly steps: readonly (Step | Expectation)[];
}

interface PlayedJob {
  readonly node: string;
  readonly row: JobRow;
}

/** Plays a language-neutral scenario; its file says what its words mean. */
class ScenarioPlayer {
  readonly #net: TestNetwork;
  readonly #functions = new Map<string, { id: string; version: string }>();
  readonly #allowances = new Map<string, string>();
  readonly #jobs = new Map<string, PlayedJob>();
  #batches = 0;

  constructor(net: TestNetwork) {
    this.#net = net;
  }

  async play(step: Step | Expectation): Promise<void> {
    if ('do' in step) {
      const committed = await this.#do(step as Step);
      assert.deepEqual(committed?.rejections ?? [], []);
    } else {
      await this.#expect(step);
    }
  }

  async #do(step: Step): Promise<Committed | void> {
    const net = this.#net;
    const text = (name: string) => String(step[name]);
    switch (step.do) {
      case 'account':
        return void (await net.createAccount(text('name'), step['credits'] === undefined ? undefined : parseCredits(text('credits'))));
      case 'super-node':
        return void (await net.registerSuperNode(testSigner(text('owner')), text('name'), 0n));
      case 'node':
        return void (await net.registerNode(testSigner(text('owner')), text('name')));
      case 'function': {
        const manifest = testManifest({ priceCap: '125000' }, `code of ${text('name')}`);
        return void this.#functions.set(text('name'), await net.createFunction(testSigner(text('owner')), text('name'), manifest));
      }
      case 'allowance': {
        const terms = {
          maxUnits: String(parseCredits(text('credits'))),
          maxPerCall: String(parseCredits(text('perCall'))),
          expires: net.clock.now + Number(step['lastsMs']),
        };
        return void this.#allowances.set(
          text('name'),
          await net.openAllowance(testSigner(text('payer')), testSigner(text('superNode')), terms),
        );
      }
      case 'wait':
        return net.clock.advance(Number(step['ms']));
      case 'release':
        return net.send('allowance.release', { allowance: this.#allowances.get(text('allowance'))! });
      case 'sweep':
        return net.sweep(testSigner(text('account')), testSigner(text('superNode')));
      default:
        return this.#doJob(step, text('job'));
    }
  }

  async #doJob(step: Step, name: string): Promise<Committed> {
    const net = this.#net;
    const cloud = testSigner('cloud');
    const superNode = superNodeId(cloud.publicKey);
    if (step['function'] !== undefined) this.#jobs.set(name, this.#newJob(step, name));
    const { node, row } = this.#jobs.get(name)!;
    const signer = testSigner(node);
    const id = jobId(row.ticket.allowance, row.ticket.sequence);
    const received = step['received'] === true;
    const acknowledgement = {
      received,
      observedUs: row.receipt.runUs + 1_000,
      prcUs: 2_000,
      rspUs: received ? 5_000 : 0,
      doneAtMs: net.clock.now,
    };
    switch (step.do) {
      case 'assign':
        return net.send('job.assign', { superNode, node: nodeId(signer.publicKey), tickets: [ticketRow(row.ticket)] }, cloud);
      case 'finish':
        return net.send(
          'job.finish',
          {
            superNode,
            node: nodeId(signer.publicKey),
            receipts: [[id, receiptRow({ ...row.receipt, runUs: Number(step['runUs'] ?? row.receipt.runUs) })]],
          },
          signer,
        );
      case 'acknowledge':
        return net.send('job.acknowledge', { superNode, acknowledgements: [[id, acknowledgementRow(acknowledgement)]] }, cloud);
      case 'settle':
        return net.settle(cloud, [net.batch(cloud, signer, [{ ...row, acknowledgement }], ++this.#batches)]);
      default:
        throw new Error(`the scenario has an unknown step: ${step.do}`);
    }
  }

  #newJob(step: Step, name: string): PlayedJob {
    const fn = this.#functions.get(String(step['function']))!;
    return {
      node: String(step['node']),
      row: {
        ticket: {
          allowance: this.#allowances.get(String(step['allowance']))!,
          sequence: Number(step['sequence']),
          attempt: 1,
          call: sha256(`call ${name}`).slice(0, 32),
          function: fn.id,
          version: fn.version,
          parameters: 1,
          rate: '125000',
          maxCost: String(parseCredits(String(step['maxCredits']))),
          requestHash: sha256(`request ${name}`),
          notAfter: this.#net.clock.now + 1_000,
        },
        receipt: {
          setupUs: 500_000,
          runUs: Number(step['runUs']),
          cpuUs: 1_000,
          peakMemoryKiB: 1_000,
          bytesIn: 10,
          bytesOut: 20,
          requestHash: '',
          resultHash: sha256(`result ${name}`),
          outcome: 'ok',
        },
        acknowledgement: { received: null, observedUs: 0, prcUs: 0, rspUs: 0, doneAtMs: 0 },
      },
    };
  }

  async #expect(step: Expectation): Promise<void> {
    const { ledger } = this.#net;
    switch (step.expect) {
      case 'owns':
        return assert.equal(formatCredits(await this.#owns(step['name']!)), step['credits'], `what ${step['name']} owns`);
      case 'job': {
        const { ticket } = this.#jobs.get(step['job']!)!.row;
        const record = (await ledger.job(jobId(ticket.allowance, ticket.sequence)))!;
        return assert.deepEqual([record.state, formatCredits(BigInt(record.cost))], [step['state'], step['cost']], step['job']);
      }
      case 'refused':
        return assert.rejects(async () => this.#do(step.step!), { code: step['code'] });
      case 'rejected':
        return assert.deepEqual(
          (await this.#do(step.step!))!.rejections.map(({ code }) => code),
          [step['code']],
        );
      case 'supply':
        return assert.deepEqual(await ledger.get(stateKeys.supply), { minted: String(parseCredits(step['credits']!)), burned: '0' });
      case 'state':
        return assert.equal(ledger.head.state, step['root']);
      default:
        throw new Error(`the scenario has an unknown expectation: ${step.expect}`);
    }
  }

  async #owns(name: string): Promise<bigint> {
    const id = accountId(testSigner(name).publicKey);
    const allowances = await this.#net.ledger.range('allowance/');
    const held = allowances.map(({ value }) => value as unknown as AllowanceRecord).filter(({ payer }) => payer === id);
    return held.reduce((sum, { left }) => sum + BigInt(left), await this.#net.available(testSigner(name)));
  }
}

/** Scenario files that every engine, in whatever language, must come to the same results with. */
export function scenarioConformance(open: OpenLedger): void {
  describe('scenarios', () => {
    test('the worked example of ChainFaaS: Bob pays Alice 12 for JOB6, James pays Kate for JOB7 once it is received', async () => {
      const scenario = JSON.parse(await readFile(new URL('../../scenarios/chainfaas.json', import.meta.url), 'utf8')) as Scenario;
      const { name, time, salt, parameters } = scenario.genesis;
      const keys = { treasuryKey: testSigner('treasury').publicKey, ordererKey: testSigner('orderer').publicKey };
      const genesis = { ...createGenesis({ name, time, parameters, ...keys }), salt: sha256(salt) };
      const clock = new TestClock();
      clock.now = time;
      const ledger = await open({ genesis, ordererKey: testSigner('orderer'), clock: clock.read });
      const player = new ScenarioPlayer(new TestNetwork(ledger, clock));
      for (const step of scenario.steps) await player.play(step);
      expect(ledger.audit()).toMatchObject({ ok: true });
      await ledger.close();
    });
  });
}
