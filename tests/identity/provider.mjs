// An OpenID provider on loopback whose tokens a test asks for: PORT. Its keys and sessions are of this run alone.
// POST /mint {email, resource, seconds} gives an access token; POST /close {email} shuts somebody out.
// Browsers sign in by the pages it brings for development: any name, any password.
import http from 'node:http';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const closed = new Set();
// By the resource a token is for: signed by the provider, or to be asked about (RFC 7662).
const resources = { 'urn:mail:jwt': 'jwt', 'urn:mail:opaque': 'opaque' };

const provider = new Provider(issuer, {
  clients: [
    { client_id: 'program', client_secret: 'programs-secret', redirect_uris: ['http://127.0.0.1/callback'] },
    { client_id: 'saraban', client_secret: 'ours', redirect_uris: [], response_types: [], grant_types: [] },
  ],
  findAccount: (_, id) => (closed.has(id) ? undefined : {
    accountId: id, claims: async () => ({ sub: id, email: id, email_verified: !id.startsWith('unverified') }),
  }),
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  features: {
    registration: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_, client, token) => !closed.has(token.accountId) },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'mail', audience: 'saraban', accessTokenFormat: resources[resource], jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

async function mint({ email, resource, seconds, audience = 'saraban' }) {
  const client = await provider.Client.find('program');
  const grant = new provider.Grant({ accountId: email, clientId: 'program' });
  grant.addResourceScope(resource, 'mail');
  const token = new provider.AccessToken({
    accountId: email, client, grantId: await grant.save(), scope: 'mail', gty: 'authorization_code',
  });
  token.resourceServer = new provider.ResourceServer(resource, {
    scope: 'mail', audience, accessTokenFormat: resources[resource], accessTokenTTL: seconds,
    jwt: { sign: { alg: 'RS256' } },
  });
  token.expiresIn = seconds;
  return token.save();
}

const answer = provider.callback();
http.createServer(async (request, response) => {
  if (request.method === 'POST' && ['/mint', '/close'].includes(request.url)) {
    let body = '';
    for await (const piece of request) body += piece;
    const said = JSON.parse(body);
    if (request.url === '/close') closed.add(said.email);
    response.end(request.url === '/mint' ? await mint(said) : 'closed');
  } else {
    answer(request, response);
  }
}).listen(port, '127.0.0.1', () => console.log('ready'));
