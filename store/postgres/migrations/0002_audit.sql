-- SPDX-License-Identifier: Apache-2.0
--
-- Version 2: the audit trail, in clear columns. By hand, as a role that may create tables
-- in the schema that the server uses:
--
--   psql --single-transaction --set ON_ERROR_STOP=1 --file 0002_audit.sql

CREATE TABLE mcp_oauth_audit (
    id       char(32) COLLATE "C" PRIMARY KEY,   -- random, so that nothing is written twice
    at       timestamptz(3)   NOT NULL,
    event    text             NOT NULL,          -- 'client_registered', 'code_redeemed', 'token_used', ...
    mode     text             NOT NULL,          -- how or why
    site     text COLLATE "C" NOT NULL,          -- issuer: 16 hex digits of its SHA-256
    person   text COLLATE "C" NOT NULL,          -- sub of the JWT
    client   text COLLATE "C" NOT NULL,          -- client id
    grant_id text COLLATE "C" NOT NULL,
    token    text COLLATE "C" NOT NULL,          -- beginning of the token's SHA-256
    resource text             NOT NULL,
    address  text             NOT NULL,
    agent    text             NOT NULL,
    ref      text             NOT NULL           -- reference id that an error page showed
);

CREATE INDEX mcp_oauth_audit_person ON mcp_oauth_audit (person, at, id);
CREATE INDEX mcp_oauth_audit_client ON mcp_oauth_audit (client, at, id);
CREATE INDEX mcp_oauth_audit_grant ON mcp_oauth_audit (grant_id, at, id);
CREATE INDEX mcp_oauth_audit_token ON mcp_oauth_audit (token, at, id);
CREATE INDEX mcp_oauth_audit_at ON mcp_oauth_audit (at, id);

INSERT INTO mcp_oauth_schema_version (version) VALUES (2);
