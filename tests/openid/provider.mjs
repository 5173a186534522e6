// A certified OpenID provider (oidc-provider) with the people, clients and keys of one test.
// Started by tests/fakes/openid.py with one argument: { people, clients, audience } as JSON.
// Prints its issuer once it listens. POST /rotate: new signing keys; the old ones stop at once.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

const { people, clients, audience } = JSON.parse(process.argv[2]);
const secret = randomUUID();

function signingKeys() {
  const pairs = [
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ];
  return pairs.map(([alg, pair]) => ({
    ...pair.privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID(),
  }));
}

function makeProvider(issuer) {
  return new Provider(issuer, {
    clients,
    jwks: { keys: signingKeys() },
    cookies: { keys: [secret] },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username'],
      groups: ['groups'],
    },
    scopes: ['openid', 'email', 'profile', 'groups'],
    findAccount: (_ctx, id) =>
      people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    extraTokenClaims: (_ctx, token) => ({ tenant: token.client?.clientName }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'gateway',
          audience,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
}

let answer;
const server = createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/rotate') {
    answer = makeProvider(issuer).callback();
    response.writeHead(204).end();
  } else {
    answer(request, response);
  }
});
let issuer;
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  answer = makeProvider(issuer).callback();
  console.log(issuer);
});
// The tests' end closes this pipe; nothing outlives them.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
