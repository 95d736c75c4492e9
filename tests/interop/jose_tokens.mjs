// Reads one token of the Rust mint with `jose`, and makes some for the Rust verifier.
//
// The first argument is the folder where `jose` is installed.
// Standard input: {"secret": …, "token": …, "claims": …}. Standard output: what was read, and what was made.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(`${process.argv[2]}/package.json`));
const { SignJWT, UnsecuredJWT, generateKeyPair, jwtVerify } = require('jose');

const asked = JSON.parse(readFileSync(0, 'utf8'));
const bytes = (text) => new TextEncoder().encode(text);
const secret = bytes(asked.secret);
const reversed = bytes([...asked.secret].reverse().join(''));

const options = { algorithms: ['HS256'], requiredClaims: ['exp', 'iat'], typ: 'JWT' };
const { payload: read, protectedHeader: header } = await jwtVerify(asked.token, secret, options);
const wrongSecret = await jwtVerify(asked.token, reversed, options).then(
    () => 'accepted',
    (error) => (error.code === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' ? 'refused' : error.code),
);

const now = Math.floor(Date.now() / 1000);
const sign = (key, alg, changes = {}) =>
    new SignJWT({ ...asked.claims, iat: now, exp: now + 600, ...changes }).setProtectedHeader({ alg }).sign(key);
const { privateKey } = await generateKeyPair('RS256');
const made = {
    accepted: await sign(secret, 'HS256'),
    'wrong_algorithm none': new UnsecuredJWT({ ...asked.claims, iat: now, exp: now + 600 }).encode(),
    'wrong_algorithm RS256': await sign(privateKey, 'RS256'),
    'wrong_algorithm HS512': await sign(bytes(asked.secret.repeat(4)), 'HS512'),
    bad_signature: await sign(reversed, 'HS256'),
    expired: await sign(secret, 'HS256', { exp: now - 1 }),
    issued_in_the_future: await sign(secret, 'HS256', { iat: now + 600 }),
    claim_missing: await sign(secret, 'HS256', { userId: undefined }),
};
console.log(JSON.stringify({ header, read, wrong_secret: wrongSecret, made }));
