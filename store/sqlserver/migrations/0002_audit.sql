-- SPDX-License-Identifier: Apache-2.0
--
-- Version 2: the audit trail, in clear columns. By hand, as a user who may create tables
-- in the default schema of the server's user:
--
--   sqlcmd -b -I -S <server> -d <database> -i 0002_audit.sql

CREATE TABLE mcp_oauth_audit (
    id       char(32)       COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,  -- random, so that nothing is written twice
    at       datetime2(3)   NOT NULL,                                              -- UTC
    event    varchar(64)    NOT NULL,                                              -- 'client_registered', 'code_redeemed', 'token_used', ...
    mode     varchar(64)    NOT NULL,                                              -- how or why
    site     char(16)       COLLATE Latin1_General_100_BIN2 NOT NULL,              -- issuer: 16 hex digits of its SHA-256
    person   nvarchar(256)  COLLATE Latin1_General_100_BIN2 NOT NULL,              -- sub of the JWT
    client   nvarchar(256)  COLLATE Latin1_General_100_BIN2 NOT NULL,              -- client id
    grant_id varchar(64)    COLLATE Latin1_General_100_BIN2 NOT NULL,
    token    varchar(64)    COLLATE Latin1_General_100_BIN2 NOT NULL,              -- beginning of the token's SHA-256
    resource nvarchar(2048) NOT NULL,
    address  varchar(64)    NOT NULL,
    agent    nvarchar(256)  NOT NULL,
    ref      varchar(64)    NOT NULL                                               -- reference id that an error page showed
);

CREATE INDEX mcp_oauth_audit_person ON mcp_oauth_audit (person, at, id);
CREATE INDEX mcp_oauth_audit_client ON mcp_oauth_audit (client, at, id);
CREATE INDEX mcp_oauth_audit_grant ON mcp_oauth_audit (grant_id, at, id);
CREATE INDEX mcp_oauth_audit_token ON mcp_oauth_audit (token, at, id);
CREATE INDEX mcp_oauth_audit_at ON mcp_oauth_audit (at, id);

INSERT INTO mcp_oauth_schema_version (version) VALUES (2);
