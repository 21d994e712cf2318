-- SPDX-License-Identifier: Apache-2.0
--
-- Every statement that the store sends, by name. Expiry is judged by the server's clock,
-- which comes as a parameter.

-- name: get
SELECT version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id = ?3 AND expires > ?4;

-- name: create
-- Replaces what has expired, and the same write again: one version has one content.
INSERT INTO mcp_oauth_records AS r (site, kind, id, version, person, client, expires, value)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (site, kind, id) DO UPDATE
SET version = excluded.version, person = excluded.person, client = excluded.client,
    expires = excluded.expires, value = excluded.value
WHERE r.expires <= ?9;

-- name: update
UPDATE mcp_oauth_records
SET version = ?4, expires = ?5, value = ?6
WHERE site = ?1 AND kind = ?2 AND id = ?3 AND expires > ?7 AND version = ?8;

-- name: delete
DELETE FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id = ?3 AND version = ?4;

-- name: delete_any
DELETE FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id = ?3;

-- name: version
SELECT version, expires
FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id = ?3;

-- name: list
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id > ?3 AND expires > ?4
ORDER BY id
LIMIT ?5;

-- name: list_person
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id > ?3 AND expires > ?4 AND person = ?6
ORDER BY id
LIMIT ?5;

-- name: list_client
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id > ?3 AND expires > ?4 AND client = ?6
ORDER BY id
LIMIT ?5;

-- name: list_both
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = ?1 AND kind = ?2 AND id > ?3 AND expires > ?4 AND person = ?6 AND client = ?7
ORDER BY id
LIMIT ?5;

-- name: sweep
DELETE FROM mcp_oauth_records
WHERE rowid IN (SELECT rowid FROM mcp_oauth_records WHERE expires <= ?1 ORDER BY expires LIMIT ?2);

-- name: audit_append
INSERT INTO mcp_oauth_audit (id, at, event, mode, site, person, client, grant_id, token, resource, address, agent, ref)
SELECT e.value ->> 'id', (e.value ->> 'at') || 'Z', e.value ->> 'event', e.value ->> 'mode', e.value ->> 'site',
    e.value ->> 'person', e.value ->> 'client', e.value ->> 'grant_id', e.value ->> 'token',
    e.value ->> 'resource', e.value ->> 'address', e.value ->> 'agent', e.value ->> 'ref'
FROM json_each(?1) AS e
WHERE true
ON CONFLICT (id) DO NOTHING;

-- name: audit_find
-- COLUMN is one of site, person, client, grant_id and token.
SELECT id, rtrim(at, 'Z'), event, mode, site, person, client, grant_id, token,
    resource, address, agent, ref
FROM mcp_oauth_audit
WHERE site = ?1 AND COLUMN = ?2 AND at >= ?3 || 'Z' AND at < ?4 || 'Z'
    AND (at > ?3 || 'Z' OR id > ?5)
ORDER BY at, id
LIMIT ?6;

-- name: audit_prune
DELETE FROM mcp_oauth_audit
WHERE rowid IN (SELECT rowid FROM mcp_oauth_audit WHERE at < ?1 || 'Z' ORDER BY at, id LIMIT ?2);

-- name: clock
-- Milliseconds since 1970-01-01 UTC.
SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER);

-- name: installed
SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'mcp_oauth_schema_version';

-- name: schema
SELECT coalesce(max(version), 0) FROM mcp_oauth_schema_version;

-- name: changes_since
-- What other processes and tools changed: number of the change, and the record.
SELECT seq, site, kind, id
FROM mcp_oauth_changes
WHERE seq > ?1
ORDER BY seq
LIMIT ?2;

-- name: changes_last
SELECT coalesce(max(seq), 0) FROM mcp_oauth_changes;

-- name: changes_prune
-- The last change stays, and so does the count.
DELETE FROM mcp_oauth_changes
WHERE seq <= (SELECT max(seq) FROM mcp_oauth_changes) - ?1;

-- name: in_use
SELECT EXISTS (SELECT 1 FROM mcp_oauth_records);
