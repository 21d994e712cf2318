-- SPDX-License-Identifier: Apache-2.0
--
-- Version 1: the records, each sealed by the server. By hand, as a user who may create
-- tables in the default schema of the server's user:
--
--   sqlcmd -b -I -S <server> -d <database> -i 0001_records.sql

CREATE TABLE mcp_oauth_schema_version (
    version int          NOT NULL PRIMARY KEY,
    applied datetime2(0) NOT NULL DEFAULT SYSUTCDATETIME()
);

CREATE TABLE mcp_oauth_records (
    site    char(16)    COLLATE Latin1_General_100_BIN2 NOT NULL,   -- issuer: 16 hex digits of its SHA-256
    kind    varchar(32) COLLATE Latin1_General_100_BIN2 NOT NULL,   -- 'client', 'login', 'code', 'grant', ...
    id      binary(32)     NOT NULL,                                -- SHA-256
    version binary(16)     NOT NULL,                                -- of the last write, random
    person  binary(32)     NULL,                                    -- keyed hash, or none
    client  binary(32)     NULL,                                    -- keyed hash, or none
    expires bigint         NOT NULL,                                -- seconds since 1970-01-01 UTC
    value   varbinary(max) NOT NULL,                                -- sealed
    changed rowversion     NOT NULL,                                -- counts every change in the database
    PRIMARY KEY (site, kind, id)
);

CREATE INDEX mcp_oauth_records_person ON mcp_oauth_records (site, kind, person, id);
CREATE INDEX mcp_oauth_records_client ON mcp_oauth_records (site, kind, client, id);
CREATE INDEX mcp_oauth_records_expires ON mcp_oauth_records (expires);
CREATE INDEX mcp_oauth_records_changed ON mcp_oauth_records (changed);

INSERT INTO mcp_oauth_schema_version (version) VALUES (1);
