#!/bin/sh
# A role that may read what llmload writes, and nothing else: Grafana's. The database's image runs this when it makes the database.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" << 'SQL'
\set word `cat /passwords/reader`
CREATE ROLE llmload_reader LOGIN PASSWORD :'word';
CREATE SCHEMA llmload;
GRANT USAGE ON SCHEMA llmload TO llmload_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA llmload GRANT SELECT ON TABLES TO llmload_reader;
SQL
