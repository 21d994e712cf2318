-- SPDX-License-Identifier: Apache-2.0
--
-- Every statement that the store sends, by name. Expiry is judged by the server's clock,
-- which comes as a parameter.

-- name: get
SELECT version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id = @p3 AND expires > @p4;

-- name: create
-- Replaces what has expired. HOLDLOCK makes the look and the write one step.
MERGE INTO mcp_oauth_records WITH (HOLDLOCK) AS r
USING (VALUES (@p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8)) AS n (site, kind, id, version, person, client, expires, value)
ON r.site = n.site AND r.kind = n.kind AND r.id = n.id
WHEN MATCHED AND r.expires <= @p9 THEN UPDATE
SET version = n.version, person = n.person, client = n.client,
    expires = n.expires, value = n.value
WHEN NOT MATCHED THEN INSERT (site, kind, id, version, person, client, expires, value)
VALUES (n.site, n.kind, n.id, n.version, n.person, n.client, n.expires, n.value);

-- name: update
UPDATE mcp_oauth_records
SET version = @p4, expires = @p5, value = @p6
WHERE site = @p1 AND kind = @p2 AND id = @p3 AND expires > @p7 AND version = @p8;

-- name: delete
DELETE FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id = @p3 AND version = @p4;

-- name: delete_any
DELETE FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id = @p3;

-- name: version
SELECT version, expires
FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id = @p3;

-- name: list
SELECT TOP (@p5) id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id > @p3 AND expires > @p4
ORDER BY id;

-- name: list_person
SELECT TOP (@p5) id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id > @p3 AND expires > @p4 AND person = @p6
ORDER BY id;

-- name: list_client
SELECT TOP (@p5) id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id > @p3 AND expires > @p4 AND client = @p6
ORDER BY id;

-- name: list_both
SELECT TOP (@p5) id, version, person, client, expires, value
FROM mcp_oauth_records
WHERE site = @p1 AND kind = @p2 AND id > @p3 AND expires > @p4 AND person = @p6 AND client = @p7
ORDER BY id;

-- name: sweep
DELETE TOP (@p2) FROM mcp_oauth_records WITH (ROWLOCK, READPAST)
WHERE expires <= @p1;

-- name: audit_append
INSERT INTO mcp_oauth_audit (id, at, event, mode, site, person, client, grant_id, token, resource, address, agent, ref)
SELECT e.id, CONVERT(datetime2(3), e.at, 126), e.event, e.mode, e.site, e.person, e.client, e.grant_id, e.token,
    e.resource, e.address, e.agent, e.ref
FROM OPENJSON(@p1) WITH (
    id char(32), at varchar(23), event varchar(64), mode varchar(64), site char(16), person nvarchar(256),
    client nvarchar(256), grant_id varchar(64), token varchar(64),
    resource nvarchar(2048), address varchar(64), agent nvarchar(256), ref varchar(64)
) AS e
WHERE NOT EXISTS (SELECT 1 FROM mcp_oauth_audit AS a WITH (UPDLOCK, HOLDLOCK) WHERE a.id = e.id);

-- name: audit_find
-- COLUMN is one of site, person, client, grant_id and token.
SELECT TOP (@p6) id, CONVERT(varchar(23), at, 126), event, mode, site, person, client, grant_id, token,
    resource, address, agent, ref
FROM mcp_oauth_audit
WHERE site = @p1 AND COLUMN = @p2 AND at >= CONVERT(datetime2(3), @p3, 126) AND at < CONVERT(datetime2(3), @p4, 126)
    AND (at > CONVERT(datetime2(3), @p3, 126) OR id > @p5)
ORDER BY at, id;

-- name: audit_prune
DELETE TOP (@p2) FROM mcp_oauth_audit WITH (ROWLOCK, READPAST)
WHERE at < CONVERT(datetime2(3), @p1, 126);

-- name: inspect
-- Whether the database can only be read, and what may lose acknowledged writes.
SELECT CASE WHEN DATABASEPROPERTYEX(DB_NAME(), 'Updateability') = 'READ_ONLY' THEN 1 ELSE 0 END, delayed_durability_desc, 'on'
FROM sys.databases
WHERE database_id = DB_ID();

-- name: clock
-- Milliseconds since 1970-01-01 UTC.
SELECT DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME());

-- name: installed
SELECT CASE WHEN OBJECT_ID(N'mcp_oauth_schema_version', N'U') IS NULL THEN 0 ELSE 1 END;

-- name: schema
SELECT coalesce(max(version), 0) FROM mcp_oauth_schema_version;

-- name: migration_lock
-- Held until the transaction of the migration ends.
DECLARE @result int;
EXEC @result = sp_getapplock @Resource = N'mcp_oauth_schema_version', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000;
IF @result < 0 THROW 50000, N'another node has been migrating the schema for ten seconds', 1;

-- name: changes_since
-- What other nodes and tools changed: number of the change, and the record. From
-- MIN_ACTIVE_ROWVERSION on, changes may not be committed yet; they come another time.
SELECT TOP (@p2) CAST(changed AS bigint), site, kind, id
FROM mcp_oauth_records
WHERE changed > CAST(CAST(@p1 AS bigint) AS binary(8)) AND changed < MIN_ACTIVE_ROWVERSION()
ORDER BY changed;

-- name: changes_last
SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint) - 1;
