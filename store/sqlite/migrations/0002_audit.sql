-- SPDX-License-Identifier: Apache-2.0
--
-- Version 2: the audit trail, in clear columns. By hand, while no server uses the file:
--
--   sqlite3 -bail /var/lib/mcp_oauth/store.sqlite '.read 0002_audit.sql'

CREATE TABLE mcp_oauth_audit (
    id       TEXT NOT NULL PRIMARY KEY,   -- random, so that nothing is written twice
    at       TEXT NOT NULL,               -- such as '2030-01-31T12:00:00.000Z'
    event    TEXT NOT NULL,               -- 'client_registered', 'code_redeemed', 'token_used', ...
    mode     TEXT NOT NULL,               -- how or why
    site     TEXT NOT NULL,               -- issuer: 16 hex digits of its SHA-256
    person   TEXT NOT NULL,               -- sub of the JWT
    client   TEXT NOT NULL,               -- client id
    grant_id TEXT NOT NULL,
    token    TEXT NOT NULL,               -- beginning of the token's SHA-256
    resource TEXT NOT NULL,
    address  TEXT NOT NULL,
    agent    TEXT NOT NULL,
    ref      TEXT NOT NULL                -- reference id that an error page showed
) STRICT;

CREATE INDEX mcp_oauth_audit_person ON mcp_oauth_audit (person, at, id);
CREATE INDEX mcp_oauth_audit_client ON mcp_oauth_audit (client, at, id);
CREATE INDEX mcp_oauth_audit_grant ON mcp_oauth_audit (grant_id, at, id);
CREATE INDEX mcp_oauth_audit_token ON mcp_oauth_audit (token, at, id);
CREATE INDEX mcp_oauth_audit_at ON mcp_oauth_audit (at, id);

INSERT INTO mcp_oauth_schema_version (version) VALUES (2);
