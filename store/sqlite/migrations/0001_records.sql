-- SPDX-License-Identifier: Apache-2.0
--
-- Version 1: the records, each sealed by the server. By hand, while no server uses the file:
--
--   sqlite3 -bail /var/lib/mcp_oauth/store.sqlite '.read 0001_records.sql'

CREATE TABLE mcp_oauth_schema_version (
    version INTEGER PRIMARY KEY,
    applied TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

CREATE TABLE mcp_oauth_records (
    site    TEXT    NOT NULL,                            -- issuer: 16 hex digits of its SHA-256
    kind    TEXT    NOT NULL,                            -- 'client', 'login', 'code', 'grant', ...
    id      BLOB    NOT NULL CHECK (length(id) = 32),    -- SHA-256
    version BLOB    NOT NULL CHECK (length(version) = 16), -- of the last write, random
    person  BLOB             CHECK (length(person) = 32), -- keyed hash, or none
    client  BLOB             CHECK (length(client) = 32), -- keyed hash, or none
    expires INTEGER NOT NULL,                            -- seconds since 1970-01-01 UTC
    value   BLOB    NOT NULL,                            -- sealed
    PRIMARY KEY (site, kind, id)
) STRICT;

CREATE INDEX mcp_oauth_records_person ON mcp_oauth_records (site, kind, person, id) WHERE person IS NOT NULL;
CREATE INDEX mcp_oauth_records_client ON mcp_oauth_records (site, kind, client, id) WHERE client IS NOT NULL;
CREATE INDEX mcp_oauth_records_expires ON mcp_oauth_records (expires);

-- Whoever changes or deletes a record, processes that may have it in memory learn of it.
CREATE TABLE mcp_oauth_changes (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    id   BLOB NOT NULL
) STRICT;

CREATE TRIGGER mcp_oauth_records_updated AFTER UPDATE ON mcp_oauth_records
BEGIN
    INSERT INTO mcp_oauth_changes (site, kind, id) VALUES (OLD.site, OLD.kind, OLD.id);
END;

CREATE TRIGGER mcp_oauth_records_deleted AFTER DELETE ON mcp_oauth_records
BEGIN
    INSERT INTO mcp_oauth_changes (site, kind, id) VALUES (OLD.site, OLD.kind, OLD.id);
END;

INSERT INTO mcp_oauth_schema_version (version) VALUES (1);
