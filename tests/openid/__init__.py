"""A real OpenID provider, node-oidc-provider, as a process for tests."""
