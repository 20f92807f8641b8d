// An OpenID provider for tests: each resource `urn:orders:{algorithm}` gets tokens of that algorithm.
import { Provider } from "oidc-provider";

const { issuer, port, keys, claims } = JSON.parse(process.argv[2]);
const audience = "yabam-orders";
const clients = Object.keys(claims).map((name) => ({
  client_id: name,
  client_secret: "secret-of-a-test",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
}));
const provider = new Provider(issuer, {
  clients,
  jwks: { keys },
  cookies: { keys: ["of-a-test"] },
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "EdDSA"] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope: "orders",
        audience,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: resource.split(":").at(-1) } },
      }),
    },
  },
  extraTokenClaims: (_context, token) => claims[token.clientId],
});
provider.listen(port, "127.0.0.1", () => console.log("listening"));
