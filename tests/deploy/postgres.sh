#!/bin/sh
# Stands in for the official image's entry point, with Debian's programs: what the variables and folders of compose.yaml mean to it, and no
# more. A database is made in an empty folder, by a server that nobody but the scripts of /docker-entrypoint-initdb.d reaches.
set -eu
: "${POSTGRES_USER:?}" "${POSTGRES_DB:?}" "${POSTGRES_PASSWORD_FILE:?}"
bin=$(dirname "$(ls /usr/lib/postgresql/*/bin/postgres | tail -1)")
PATH=$bin:$PATH
PGDATA=/var/lib/postgresql/data/pgdata
common="-c dynamic_shared_memory_type=mmap -c fsync=off"
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-host=scram-sha-256 --auth-local=trust > /dev/null
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --wait --silent --options="$common -c listen_addresses= -c unix_socket_directories=$PGDATA" start > /dev/null
  export PGHOST="$PGDATA"
  [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*.sh; do
    "$script"
  done
  unset PGHOST
  pg_ctl --pgdata="$PGDATA" --wait --silent --mode=fast stop > /dev/null
fi
# shellcheck disable=SC2086 # several words
exec postgres -D "$PGDATA" $common -c listen_addresses='*' -c "unix_socket_directories=$PGDATA"
