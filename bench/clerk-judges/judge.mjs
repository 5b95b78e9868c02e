// Serves the keys, asks all three judges, and prints the table. Exit code 0: each difference has its reason, and each reason its difference.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { createClerkClient } from '@clerk/backend';
import { KID, ISSUER, PARTY, cases, own } from './cases.mjs';

const [ours, python] = process.argv.slice(2);
const jwk = { ...own.publicKey.export({ format: 'jwk' }), kid: KID, use: 'sig', alg: 'RS256' };
const pem = own.publicKey.export({ format: 'pem', type: 'spki' });
const server = createServer((request, response) => {
  const keys = request.method === 'GET' && request.url.split('?')[0].endsWith('/jwks');
  response.writeHead(keys ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(keys ? { keys: [jwk] } : { errors: [] }));
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const api = `http://127.0.0.1:${server.address().port}`;

// A program that answers each line with a line.
function asker(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    tell: (value) => child.stdin.write(`${JSON.stringify(value)}\n`),
    async ask(value) {
      this.tell(value);
      return JSON.parse((await answers.next()).value);
    },
    end: () => child.stdin.end(),
  };
}

const us = asker(ours, []);
us.tell({ issuer: ISSUER, parties: [PARTY], jwks: `${api}/v1/jwks` });
const py = asker(python, [new URL('judge.py', import.meta.url).pathname]);
py.tell({ parties: [PARTY], api });

const publishableKey = `pk_live_${Buffer.from('clerk.example.com$').toString('base64')}`;
const clerk = createClerkClient({ secretKey: 'sk_test_judged', publishableKey, apiUrl: api });
console.error = () => {};
async function javascript(token) {
  const request = new Request('https://app.example.com/api/me', { headers: { authorization: `Bearer ${token}` } });
  try {
    const state = await clerk.authenticateRequest(request, { authorizedParties: [PARTY], acceptsToken: 'session_token' });
    return state.toAuth()?.userId != null ? 'good' : 'refused';
  } catch {
    return 'refused';
  }
}

let wrong = 0;
let equal = 0;
let explained = 0;
const rows = [];
const table = cases(pem);
for (const { name, token, reasons } of table) {
  const own = await us.ask({ kind: 'token', token });
  const verdicts = { js: await javascript(token), py: (await py.ask({ kind: 'token', token })).verdict };
  const mine = own.good ? 'good' : 'refused';
  const notes = [];
  for (const [judge, verdict] of Object.entries(verdicts)) {
    if (verdict === mine && !reasons[judge]) equal += 1;
    else if (verdict !== mine && reasons[judge]) (explained += 1), notes.push(`${judge}: ${reasons[judge]}`);
    else (wrong += 1), notes.push(`${judge}: ${verdict === mine ? 'EQUAL, BUT A REASON STANDS THERE' : 'DIFFERS WITHOUT A REASON'}`);
  }
  rows.push(`| ${name} | ${own.good ? 'good' : own.refused} | ${verdicts.js} | ${verdicts.py} | ${notes.join('; ')} |`);
}
console.log('| token | ours | @clerk/backend | clerk-backend-api | why they differ |\n|---|---|---|---|---|');
console.log(rows.join('\n'));

// Webhooks: what we sign the package believes, and the other way round.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const at = Math.floor(Date.now() / 1000);
let vectors = 0;
for (const body of ['{"test": 2432232314}', '{}', '', 'Grüße \u{1F600}', '{"a":"' + 'x'.repeat(50_000) + '"}', 'a.b.c\n']) {
  const id = `msg_${vectors}`;
  const told = await py.ask({ kind: 'svix', secret, id, at, body, signature: await us.ask({ kind: 'sign', secret, id, at, body }) });
  const by = (changes, now = at) => us.ask({ kind: 'verify', secret, at: now, body, headers: { 'svix-id': id, 'svix-timestamp': String(at), 'svix-signature': told.signature, ...changes } });
  const seen = [
    [told.verdict, 'good'], [await by({}), 'good'], [await by({ 'svix-signature': `v1,AAAA ${told.signature}` }), 'good'],
    [await by({ 'svix-id': 'msg_other' }), told.otherId], [await by({ 'svix-timestamp': String(at - 301) }), told.old],
    [await by({ 'svix-timestamp': String(at + 310) }), told.future], [await by({ 'svix-signature': told.signature.replace('v1,', 'v2,') }), told.v2],
  ];
  for (const [ours, theirs] of seen) {
    vectors += 1;
    if ((ours === 'good') !== (theirs === 'good')) (wrong += 1), console.log(`Svix, ${JSON.stringify(body.slice(0, 20))}: ${ours} / ${theirs}`);
  }
}
us.end();
py.end();
server.close();
console.log(`\n${table.length} tokens, ${2 * table.length} comparisons: ${equal} equal, ${explained} with a reason; ${vectors} webhook vectors; ${wrong} not explained.`);
process.exitCode = wrong === 0 ? 0 : 1;
