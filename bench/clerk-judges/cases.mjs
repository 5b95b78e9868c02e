// The tokens that all judges get, and the one way in which each of them may differ from us, with the reason.
import { createHmac, createSign, generateKeyPairSync, sign as rsaSign, constants } from 'node:crypto';

export const ISSUER = 'https://clerk.example.com';
export const PARTY = 'https://app.example.com';
export const KID = 'ins_judged';
export const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });

const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const digests = { RS256: 'RSA-SHA256', RS384: 'RSA-SHA384', RS512: 'RSA-SHA512' };

function signed(header, claims, key = own.privateKey) {
  const text = `${b64(header)}.${b64(claims)}`;
  return `${text}.${createSign(digests[header?.alg] ?? 'RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}

export function cases(pem) {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'RS256', typ: 'JWT', kid: KID, cat: 'cl_B7d4PD111AAA' };
  const claims = {
    azp: PARTY, exp: now + 600, fva: [0, -1], iat: now, iss: ISSUER, jti: 'x', nbf: now - 10, sid: 'sess_1', sts: 'active',
    sub: 'user_1', v: 2,
  };
  const plain = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
  const with_ = (changes) => signed(header, plain({ ...claims, ...changes }));
  const head = (changes, key) => signed(plain({ ...header, ...changes }), claims, key);
  const good = signed(header, claims);
  const [h, p, s] = good.split('.');
  const hs256 = () => {
    const text = `${b64({ ...header, alg: 'HS256' })}.${p}`;
    return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
  };
  const pss = () => {
    const text = `${b64({ ...header, alg: 'PS256' })}.${p}`;
    const padding = { key: own.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    return `${text}.${rsaSign('sha256', Buffer.from(text), padding).toString('base64url')}`;
  };
  const lastBits = () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return `${h}.${p}.${s.slice(0, -1)}${letters[letters.indexOf(s.at(-1)) ^ 1]}`;
  };
  const v1 = { v: undefined, sts: undefined, jti: undefined, org_id: 'org_1', org_slug: 'beans', org_role: 'org:admin', org_permissions: ['a'] };
  const py = (reason) => ({ py: reason });
  const js = (reason) => ({ js: reason });
  const both = (reason) => ({ js: reason, py: reason });
  const spelling = 'decoded leniently there; here a token has one spelling, so that it can be compared and counted';
  return [
    ['good, version 2', good],
    ['good, version 1', with_(v1)],
    ['good, version 2 with organisation', with_({ o: { id: 'org_1', slg: 'beans', rol: 'admin', per: 'manage,read', fpm: '3,2' }, fea: 'o:dash,o:teams' })],
    ['good, version 1 without organisation', with_({ v: undefined, sts: undefined })],
    ['expired 3 s ago', with_({ exp: now - 1 })],
    ['expired 10 s ago', with_({ exp: now - 10 })],
    ['expired an hour ago', with_({ exp: now - 3600, iat: now - 3660, nbf: now - 3670 })],
    ['exp as text', with_({ exp: String(now + 600) }), py('takes numbers written as text')],
    ['no exp', with_({ exp: undefined }), py('exp is not required there')],
    ['nbf in 3 s', with_({ nbf: now + 3 })],
    ['nbf in an hour', with_({ nbf: now + 3600 })],
    ['no nbf, no iat', with_({ nbf: undefined, iat: undefined })],
    ['iat in 3 s', with_({ iat: now + 3 })],
    ['iat in an hour', with_({ iat: now + 3600 })],
    ['azp of another site', with_({ azp: 'https://evil.example' })],
    ['azp with our name in front', with_({ azp: `${PARTY}.evil.example` })],
    ['azp in capitals', with_({ azp: PARTY.toUpperCase() })],
    ['azp with a slash', with_({ azp: `${PARTY}/` })],
    ['no azp', with_({ azp: undefined })],
    ['azp empty', with_({ azp: '' })],
    ['iss of another instance', with_({ iss: 'https://clerk.other.example' }), both('the issuer is not compared there')],
    ['no iss', with_({ iss: undefined }), both('the issuer is not compared there')],
    ['iss with a slash', with_({ iss: `${ISSUER}/` }), both('the issuer is not compared there')],
    ['sts pending', with_({ sts: 'pending' }), py('knows no pending sessions')],
    ['sts unknown', with_({ sts: 'halted' }), both('only "pending" is known there; here only "active" lets in')],
    ['no sub', with_({ sub: undefined }), py('sub is not required there')],
    ['sub a number', with_({ sub: 7 })],
    ['sub empty', with_({ sub: '' }), { py: 'an empty sub passes there', js: 'an empty sub passes there' }],
    ['machine subject', with_({ sub: 'mch_1' }), py('tells machines by the beginning of the token alone')],
    ['acting for somebody (act)', with_({ act: { iss: 'https://dashboard.clerk.com', sid: 'sess_9', sub: 'user_9' } })],
    ['aud of somebody', with_({ aud: 'https://api.example.com' }), py('refuses any aud where none is expected; we and the JavaScript package expect none and compare none')],
    ['custom claims', with_({ metadata: { role: 'admin' }, deep: { a: [1, { b: null }] } })],
    ['version 3', with_({ v: 3 }), both('an unknown version is read as version 1 there; here it may mean something else')],
    ['alg none, no signature', `${b64({ ...header, alg: 'none' })}.${p}.`],
    ['alg none, signature kept', `${b64({ ...header, alg: 'none' })}.${p}.${s}`],
    ['alg HS256 with the public key', hs256()],
    ['alg RS384', head({ alg: 'RS384' })],
    ['alg RS512', head({ alg: 'RS512' })],
    ['alg PS256', pss()],
    ['alg missing', head({ alg: undefined })],
    ['typ missing', head({ typ: undefined })],
    ['typ at+jwt', head({ typ: 'at+jwt' }), py('tells machines by the beginning of the token alone')],
    ['typ JWS', head({ typ: 'JWS' }), py('other types pass as session tokens there')],
    ['cat of a template', head({ cat: 'cl_B7d4PD222AAA' }), py('does not look at cat')],
    ['crit', head({ crit: ['b64'], b64: false }), js('extensions that must be understood are passed over there')],
    ['crit of an unknown name', head({ crit: ['exp'] }), js('extensions that must be understood are passed over there')],
    ['unknown header fields', head({ x5u: 'https://evil.example', jku: 'https://evil.example/jwks', zip: 'x' })],
    ['kid unknown', head({ kid: 'ins_unknown' })],
    ['kid missing', head({ kid: undefined })],
    ['kid of ours, key of another instance', head({}, foreign.privateKey)],
    ['kid of another instance, its key', head({ kid: 'ins_other' }, foreign.privateKey)],
    ['payload changed', `${h}.${b64({ ...claims, sub: 'user_2' })}.${s}`],
    ['header changed', `${b64({ ...header, x: 1 })}.${p}.${s}`],
    ['signature cut', good.slice(0, -10)],
    ['signature empty', `${h}.${p}.`],
    ['signature missing', `${h}.${p}`],
    ['a dot too many', `${good}.`],
    ['a part too many', `${good}.${s}`],
    ['a dot in front', `.${good}`],
    ['padding at the end', `${good}==`, both(spelling)],
    ['last bits of the signature set', lastBits()],
    ['payload an array', `${h}.${b64([1])}.${s}`],
    ['payload no JSON', `${h}.${b64('rubbish')}.${s}`],
    ['signed payload no object', signed(header, 'null')],
    ['huge: 20 KiB, signed', with_({ custom: 'x'.repeat(20_000) }), both('there is no limit there; a cookie of Clerk has 4 KiB, and more than 8 KiB is no session token')],
    ['rubbish', 'rubbish'],
    ['machine token mt_', 'mt_0123456789'],
    ['OAuth token oat_', 'oat_0123456789'],
    ['API key ak_', 'ak_0123456789'],
  ].map(([name, token, reasons]) => ({ name, token, reasons: reasons ?? {} }));
}
