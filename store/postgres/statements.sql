-- SPDX-License-Identifier: Apache-2.0
--
-- Every statement that the store sends, by name. Expiry is judged by the server's clock,
-- which comes as a parameter.

-- name: get
SELECT version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id = $3 AND expires > $4;

-- name: create
-- Replaces what has expired, and the same write again: one version has one content.
INSERT INTO mcp_oauth_records AS r (site, kind, id, version, person, client, expires, value)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (site, kind, id) DO UPDATE
SET version = excluded.version, person = excluded.person, client = excluded.client,
    expires = excluded.expires, value = excluded.value
WHERE r.expires <= $9;

-- name: update
UPDATE mcp_oauth_records
SET version = $4, expires = $5, value = $6
WHERE site = $1 AND kind = $2 AND id = $3 AND expires > $7 AND version = $8;

-- name: delete
DELETE FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id = $3 AND version = $4;

-- name: delete_any
DELETE FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id = $3;

-- name: version
SELECT version, expires
FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id = $3;

-- name: list
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id > $3 AND expires > $4
ORDER BY id
LIMIT $5;

-- name: list_person
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id > $3 AND expires > $4 AND person = $6
ORDER BY id
LIMIT $5;

-- name: list_client
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id > $3 AND expires > $4 AND client = $6
ORDER BY id
LIMIT $5;

-- name: list_both
SELECT id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = $1 AND kind = $2 AND id > $3 AND expires > $4 AND person = $6 AND client = $7
ORDER BY id
LIMIT $5;

-- name: sweep
-- The outer condition is judged again on what is locked: an extended record stays.
WITH dead AS MATERIALIZED (
    SELECT site, kind, id
    FROM mcp_oauth_records
    WHERE expires <= $1
    ORDER BY expires
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
DELETE FROM mcp_oauth_records AS r
USING dead
WHERE r.site = dead.site AND r.kind = dead.kind AND r.id = dead.id AND r.expires <= $1;

-- name: audit_append
INSERT INTO mcp_oauth_audit (id, at, event, mode, site, person, client, grant_id, token, resource, address, agent, ref)
SELECT e.id, (e.at || 'Z')::timestamptz, e.event, e.mode, e.site, e.person, e.client, e.grant_id, e.token,
    e.resource, e.address, e.agent, e.ref
FROM json_to_recordset($1::json) AS e (
    id text, at text, event text, mode text, site text, person text, client text, grant_id text, token text,
    resource text, address text, agent text, ref text
)
ON CONFLICT (id) DO NOTHING;

-- name: audit_find
-- COLUMN is one of site, person, client, grant_id and token.
SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'), event, mode, site, person, client, grant_id, token,
    resource, address, agent, ref
FROM mcp_oauth_audit
WHERE site = $1 AND COLUMN = $2 AND at >= ($3::text || 'Z')::timestamptz AND at < ($4::text || 'Z')::timestamptz
    AND (at > ($3::text || 'Z')::timestamptz OR id > $5)
ORDER BY at, id
LIMIT $6;

-- name: audit_prune
WITH old AS MATERIALIZED (
    SELECT id
    FROM mcp_oauth_audit
    WHERE at < ($1::text || 'Z')::timestamptz
    ORDER BY at, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
DELETE FROM mcp_oauth_audit AS a
USING old
WHERE a.id = old.id;

-- name: inspect
-- Whether the server is a replica, and what may lose acknowledged writes.
SELECT CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END, current_setting('synchronous_commit'), current_setting('fsync');

-- name: clock
-- Milliseconds since 1970-01-01 UTC.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- name: installed
-- to_regclass would answer from memory, also after another node has made the table.
SELECT count(*) FROM pg_class WHERE relname = 'mcp_oauth_schema_version' AND pg_table_is_visible(oid);

-- name: schema
SELECT coalesce(max(version), 0) FROM mcp_oauth_schema_version;

-- name: migration_lock
-- Held until the transaction of the migration ends.
SELECT pg_advisory_xact_lock(hashtext('mcp_oauth_schema_version'));

-- name: notify
SELECT pg_notify($1::text, payload) FROM json_array_elements_text($2::json) AS payload;
