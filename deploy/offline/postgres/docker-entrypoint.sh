#!/usr/bin/env bash
# Stand-in for docker-entrypoint.sh of the official postgres image: initialises an empty PGDATA, then becomes the server.
#
# In: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each also as a file, by ..._FILE), POSTGRES_INITDB_ARGS,
# POSTGRES_HOST_AUTH_METHOD, PGDATA, files in /docker-entrypoint-initdb.d; arguments of the server. Out: the server, in this process.
# While initialising, a temporary server answers on the socket only; its log goes to standard output, that of the real one to
# standard error. So the line "database system is ready to accept connections" comes twice, as in the official image.
set -Eeo pipefail

stop() {
	printf 'Error: %s\n' "$*" >&2
	exit 1
}

# from_file NAME DEFAULT: NAME, or what the file NAME_FILE holds, or DEFAULT.
from_file() {
	local file_name=$1_FILE
	[[ -z ${!1-} || -z ${!file_name-} ]] || stop "both $1 and $file_name are set"
	if [[ -n ${!file_name-} ]]; then
		export "$1=$(<"${!file_name}")"
	else
		export "$1=${!1:-${2-}}"
	fi
	unset "$file_name"
}

settings() {
	from_file POSTGRES_PASSWORD
	from_file POSTGRES_USER postgres
	from_file POSTGRES_DB "$POSTGRES_USER"
	from_file POSTGRES_INITDB_ARGS
}

folders() {
	mkdir -p "$PGDATA" /var/run/postgresql
	chmod 700 "$PGDATA" || true
	chmod 3775 /var/run/postgresql || true
	if [[ $(id -u) == 0 ]]; then
		find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
	fi
}

sql() {
	PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

initialise_cluster() {
	[[ -n $POSTGRES_PASSWORD || ${POSTGRES_HOST_AUTH_METHOD-} == trust ]] ||
		stop "the database is uninitialised and POSTGRES_PASSWORD is not set; set it, or POSTGRES_HOST_AUTH_METHOD=trust to allow everyone in"
	# The arguments are a line of shell words, as in the official image.
	eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"${POSTGRES_INITDB_ARGS-}"
	local method
	method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
	printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

initial_files() {
	local file
	for file in /docker-entrypoint-initdb.d/*; do
		[[ -e $file ]] || continue
		printf '%s: running %s\n' "$0" "$file"
		case $file in
		*.sh)
			if [[ -x $file ]]; then
				"$file"
			else
				# shellcheck disable=SC1090 # whatever the user mounted
				. "$file"
			fi
			;;
		*.sql) sql --dbname "$POSTGRES_DB" -f "$file" ;;
		*.sql.gz) gunzip -c "$file" | sql --dbname "$POSTGRES_DB" ;;
		*) printf '%s: ignoring %s\n' "$0" "$file" ;;
		esac
	done
}

initialise() {
	initialise_cluster "$@"
	export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
	PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -w start -o "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")"
	if [[ -z $(sql --dbname postgres --set db="$POSTGRES_DB" --tuples-only <<<"SELECT 1 FROM pg_database WHERE datname = :'db'") ]]; then
		sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
	fi
	initial_files
	PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop
	unset PGPASSWORD
	printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

only_asks() {
	local word
	for word in "$@"; do
		case $word in '-?' | --help | --describe-config | -V | --version) return 0 ;; esac
	done
	return 1
}

if [[ ${1:0:1} == - ]]; then set -- postgres "$@"; fi
if [[ ${1-} == postgres ]] && ! only_asks "$@"; then
	settings
	folders
	if [[ $(id -u) == 0 ]]; then
		exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
	fi
	if [[ -s $PGDATA/PG_VERSION ]]; then
		printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
	else
		initialise "${@:2}"
	fi
fi
exec "$@"
