-- SPDX-License-Identifier: Apache-2.0
--
-- Version 1: the records, each sealed by the server. By hand, as a role that may create
-- tables in the schema that the server uses:
--
--   psql --single-transaction --set ON_ERROR_STOP=1 --file 0001_records.sql

CREATE TABLE mcp_oauth_schema_version (
    version integer     PRIMARY KEY,
    applied timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE mcp_oauth_records (
    site    text COLLATE "C" NOT NULL,                            -- issuer: 16 hex digits of its SHA-256
    kind    text COLLATE "C" NOT NULL,                            -- 'client', 'login', 'code', 'grant', ...
    id      bytea  NOT NULL CHECK (octet_length(id) = 32),        -- SHA-256
    version bytea  NOT NULL CHECK (octet_length(version) = 16),   -- of the last write, random
    person  bytea           CHECK (octet_length(person) = 32),    -- keyed hash, or none
    client  bytea           CHECK (octet_length(client) = 32),    -- keyed hash, or none
    expires bigint NOT NULL,                                      -- seconds since 1970-01-01 UTC
    value   bytea  NOT NULL,                                      -- sealed
    PRIMARY KEY (site, kind, id)
);

-- Sealed bytes do not compress.
ALTER TABLE mcp_oauth_records ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE INDEX mcp_oauth_records_person ON mcp_oauth_records (site, kind, person, id) WHERE person IS NOT NULL;
CREATE INDEX mcp_oauth_records_client ON mcp_oauth_records (site, kind, client, id) WHERE client IS NOT NULL;
CREATE INDEX mcp_oauth_records_expires ON mcp_oauth_records (expires);

-- Whoever changes or deletes a record by hand, the nodes that may have it in memory learn
-- of it. Writes of the server, which change the version, are told by the server itself,
-- after they are done: transactions that notify commit one after another only.
CREATE FUNCTION mcp_oauth_records_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('mcp_oauth_changes', OLD.site || '/' || OLD.kind || '/' || pg_catalog.encode(OLD.id, 'hex'));
    RETURN NULL;
END
$$;

CREATE TRIGGER mcp_oauth_records_updated AFTER UPDATE ON mcp_oauth_records
    FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION mcp_oauth_records_changed();

CREATE TRIGGER mcp_oauth_records_deleted AFTER DELETE ON mcp_oauth_records
    FOR EACH ROW EXECUTE FUNCTION mcp_oauth_records_changed();

INSERT INTO mcp_oauth_schema_version (version) VALUES (1);
