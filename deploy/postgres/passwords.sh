#!/bin/sh
# Draws the passwords of the database and of Grafana, once, into a folder: each in a file that only its reader may read. Later starts keep them.
# usage: passwords.sh FOLDER      as root, who may give files away
set -eu
umask 077
cd "${1:?usage: passwords.sh FOLDER}"
[ ! -e drawn ] || exit 0

draw() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# give NAME USER: what is read becomes that user's file.
give() {
  cat > "$1"
  chown "$2:$2" "$1"
}

# Of the images: postgres is 999 in its own, llmload 65532, grafana 472.
owner=$(draw)
reader=$(draw)
printf %s "$owner" | give owner 999
printf 'pgpassword = %s\n' "$owner" | give llmload.conf 65532
printf %s "$reader" | give reader 999
printf %s "$reader" | give grafana-reader 472
draw | give grafana-admin 472
: > drawn
