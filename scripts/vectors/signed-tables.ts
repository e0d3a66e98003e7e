// The tables of signed requests: valid ones, and invalid ones with exactly one fault.
import { hash } from 'node:crypto'
import { buildContentDigest } from '../../src/core/content-digest.ts'
import { now, post, type SignedCase, withFields } from './signed-case.ts'

const required = ['@method', '@target-uri', 'authorization', 'tls-channel-binding']
const ofBody = ['content-type', 'content-digest']
const forged = '{"text":"forge"}'
const md5 = `md5=:${hash('md5', '{"text":"hello"}', 'base64')}:`

export const goodRequests: readonly SignedCase[] = [
  { name: 'a GET with ecdsa-p256-sha256' },
  { name: 'a POST with ecdsa-p256-sha256', signed: post },
  { name: 'a GET with ecdsa-p384-sha384', connection: 'p384' },
  { name: 'a POST with ecdsa-p384-sha384', connection: 'p384', signed: post },
  { name: 'a GET with ed25519', connection: 'ed25519' },
  { name: 'a POST with ed25519', connection: 'ed25519', signed: post },
  { name: 'a GET with rsa-pss-sha512', connection: 'rsa' },
  { name: 'a POST with rsa-pss-sha512', connection: 'rsa', signed: post },
  { name: 'alg named', parameters: { alg: 'ecdsa-p256-sha256' } },
  {
    name: 'another label and order of parameters',
    label: 'any-label',
    order: ['tag', 'keyid', 'nonce', 'expires', 'created'],
  },
  {
    name: 'further components',
    components: [...required, '@path', '@query', '@authority', '@scheme', '@request-target'],
  },
  { name: 'another order of components', signed: post, components: [...ofBody, ...required].reverse() },
  {
    name: 'a digest with sha-512',
    signed: withFields({ 'content-digest': buildContentDigest('{"text":"hello"}', 'sha-512') })(post),
  },
  {
    name: 'a digest with md5 beside sha-256',
    signed: withFields({ 'content-digest': `${md5}, ${buildContentDigest('{"text":"hello"}')}` })(post),
  },
  { name: 'at the end of its time', clock: 60 },
  { name: 'five seconds early', clock: -5 },
  { name: 'the longest nonce', parameters: { nonce: 'n'.repeat(64) } },
]

export const badRequests: readonly SignedCase[] = [
  {
    name: 'no signature',
    wrong: 'there is no Signature',
    outcome: 'signature_missing',
    sent: withFields({ signature: undefined }),
  },
  {
    name: 'no input',
    wrong: 'there is no Signature-Input',
    outcome: 'signature_missing',
    sent: withFields({ 'signature-input': undefined }),
  },
  {
    name: 'another tag',
    wrong: 'the signature is for another purpose',
    outcome: 'signature_missing',
    parameters: { tag: 'other' },
  },
  {
    name: 'a label twice',
    wrong: 'Signature-Input has the label twice',
    sent: request =>
      withFields({ 'signature-input': `${request.fields['signature-input']}, ${request.fields['signature-input']}` })(
        request,
      ),
  },
  {
    name: 'a component with a parameter',
    wrong: '@method has a parameter',
    sent: request =>
      withFields({ 'signature-input': request.fields['signature-input']?.replace('"@method"', '"@method";req') })(
        request,
      ),
  },
  {
    name: 'a body under a GET',
    wrong: 'a body was added to a request without one',
    outcome: 'digest_invalid',
    sent: request => ({ ...request, body: forged }),
  },
  { name: 'an empty signature', wrong: 'the signature has no octet', sent: withFields({ signature: 'sig=::' }) },
  {
    name: 'another label',
    wrong: 'the two fields have different labels',
    sent: withFields({ signature: 'other=:AAAA:' }),
  },
  { name: 'another method', wrong: 'the method was changed', sent: request => ({ ...request, method: 'HEAD' }) },
  {
    name: 'another path',
    wrong: 'the path was changed',
    sent: request => ({ ...request, target: request.target.replace('notes', 'others') }),
  },
  {
    name: 'another query',
    wrong: 'the query was changed',
    sent: request => ({ ...request, target: `${request.target}&a=b` }),
  },
  {
    name: 'another host',
    wrong: 'the host was changed',
    sent: request => ({ ...request, authority: 'other.example:8443' }),
  },
  {
    name: 'another token',
    wrong: 'the token was changed',
    sent: withFields({ authorization: 'Bearer another-token' }),
  },
  {
    name: 'another media type',
    wrong: 'Content-Type was changed',
    signed: post,
    sent: withFields({ 'content-type': 'text/plain' }),
  },
  {
    name: 'another digest',
    wrong: 'body and digest were changed',
    signed: post,
    sent: request => ({ ...withFields({ 'content-digest': buildContentDigest(forged) })(request), body: forged }),
  },
  {
    name: 'another body',
    wrong: 'the body was changed',
    outcome: 'digest_invalid',
    signed: post,
    sent: request => ({ ...request, body: forged }),
  },
  {
    name: 'a shorter body',
    wrong: 'the last octet of the body is missing',
    outcome: 'digest_invalid',
    signed: post,
    sent: request => ({ ...request, body: request.body?.slice(0, -1) ?? null }),
  },
  {
    name: 'no digest',
    wrong: 'there is no Content-Digest',
    outcome: 'digest_invalid',
    signed: withFields({ 'content-digest': undefined })(post),
  },
  {
    name: 'a digest with md5',
    wrong: 'Content-Digest has only md5',
    outcome: 'digest_invalid',
    signed: withFields({ 'content-digest': md5 })(post),
  },
  {
    name: 'another connection',
    wrong: 'the request was signed for another connection',
    connection: 'p256, a later connection',
    madeOn: 'p256',
  },
  { name: 'another key', wrong: 'another key signed', key: 'other' },
  {
    name: 'another certificate',
    wrong: 'another certificate is named, and its key signed',
    certificate: 'other',
  },
  ...required.map(name => ({
    name: `${name} not covered`,
    wrong: `the signature does not cover ${name}`,
    components: required.filter(other => other !== name),
  })),
  ...ofBody.map(name => ({
    name: `${name} not covered`,
    wrong: `the signature does not cover ${name}`,
    signed: post,
    components: [...required, ...ofBody].filter(other => other !== name),
  })),
  { name: 'a component twice', wrong: '@method is covered twice', components: [...required, '@method'] },
  ...['created', 'expires', 'nonce', 'keyid'].map(name => ({
    name: `no ${name}`,
    wrong: `the parameter ${name} is missing`,
    parameters: { [name]: undefined },
  })),
  { name: 'an unknown parameter', wrong: 'there is an unknown parameter', parameters: { more: 1 } },
  { name: 'a nonce of 65 characters', wrong: 'the nonce is too long', parameters: { nonce: 'n'.repeat(65) } },
  { name: 'another alg', wrong: 'alg is not that of the key', parameters: { alg: 'ed25519' } },
  {
    name: 'too long a time',
    wrong: 'there are more than 60 seconds between created and expires',
    parameters: { expires: now + 61 },
  },
  { name: 'too late', wrong: 'expires has passed', clock: 61 },
  { name: 'too early', wrong: 'created is more than 5 seconds in the future', clock: -6 },
  { name: 'p521', wrong: 'the key of the certificate is of no supported kind', connection: 'p521', key: 'p256' },
  { name: 'ed448', wrong: 'the key of the certificate is of no supported kind', connection: 'ed448', key: 'p256' },
  { name: 'rsa1024', wrong: 'the key of the certificate is too short', connection: 'rsa1024', key: 'p256' },
]
