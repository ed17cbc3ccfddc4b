#!/bin/sh
# Installs what Bankstorm needs and this machine lacks, and nothing else; a second call installs nothing.
#
# In: the machine. Out: PostgreSQL 15+, Redis, a Java runtime 17+, a C toolchain (librdkafka is compiled from source) by apt or brew;
# the Kafka jars of deploy/kafka/pom.xml by Maven in the user's cache folder, or KAFKA_HOME. No service is left running.
# Elsewhere: a container engine, which only `--env containers` needs and which is never installed from here (.ci/run may, by engine.sh).
# Exit 3: something is missing that this script may not or cannot install; it says what.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
kafka_version=4.3.0 # as in deploy/kafka/pom.xml and harness/environment/src/tools.rs
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bankstorm/kafka-$kafka_version

say() { printf 'setup: %s\n' "$*"; }
stop() {
	printf 'setup: %s\n' "$*" >&2
	exit 3
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- what is there -------------------------------------------------------------------------------------------------------------

postgres_there() {
	for bin in $(printf '%s' "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin \
		/opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
		[ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || continue
		major=$("$bin/postgres" --version 2>/dev/null | sed -n 's/[^0-9]*\([0-9]*\).*/\1/p')
		[ "${major:-0}" -ge 15 ] && return 0
	done
	return 1
}

java_there() {
	for java in "${JAVA_HOME:-/nowhere}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java \
		/opt/homebrew/opt/openjdk*/bin/java /usr/local/opt/openjdk*/bin/java; do
		[ -x "$java" ] || continue
		major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
		[ "${major:-0}" -ge 17 ] && return 0
	done
	return 1
}

kafka_there() {
	if [ -n "${KAFKA_HOME:-}" ]; then
		ls "$KAFKA_HOME"/libs/kafka_2.13-*.jar >/dev/null 2>&1 && return 0
		stop "KAFKA_HOME is $KAFKA_HOME, but $KAFKA_HOME/libs has no kafka_2.13-*.jar; correct it, or unset it to fetch Kafka"
	fi
	[ -f "$cache/libs/kafka_2.13-$kafka_version.jar" ]
}

# One word per missing thing.
missing() {
	have cc && have c++ && have make && have bash || echo toolchain
	postgres_there || echo postgresql
	have redis-server || echo redis
	java_there || echo java
	# Maven only fetches the jars.
	kafka_there || have mvn || echo maven
}

# --- installing ----------------------------------------------------------------------------------------------------------------

# Files that keep freshly installed services from starting; removed again whatever happens.
added=""
remove_added() {
	for file in $added; do as_root rm -f "$file"; done
	added=""
}
trap remove_added EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# add_file PATH MODE TEXT: unless it exists.
add_file() {
	[ -e "$1" ] && return 0
	as_root mkdir -p "$(dirname "$1")"
	added="$added $1"
	printf '%s\n' "$3" | as_root tee "$1" >/dev/null
	as_root chmod "$2" "$1"
}

# The first of these packages that the archive has.
first_known() {
	for package in "$@"; do
		if apt-cache show "$package" >/dev/null 2>&1; then
			echo "$package"
			return 0
		fi
	done
	echo "$1"
}

apt_packages() {
	for word in $1; do
		case $word in
		toolchain) echo gcc g++ make bash ;;
		postgresql) echo postgresql ;;
		redis) echo redis-server ;;
		java) first_known openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless ;;
		maven) echo maven ;;
		esac
	done | tr '\n' ' '
}

apt_install() {
	if [ "$(id -u)" != 0 ] && ! { have sudo && sudo -n true 2>/dev/null; }; then
		stop "missing: $(echo "$1" | tr '\n' ' ')- not root, and no sudo without a password. Install these and call again:
    sudo apt-get update && sudo apt-get install --no-install-recommends $(apt_packages "$1")"
	fi
	say "apt-get update"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
	packages=$(apt_packages "$1")
	case " $packages" in *" postgresql "*)
		offered=$(apt-cache policy postgresql | sed -n 's/ *Candidate: \([0-9]*\).*/\1/p')
		[ "${offered:-0}" -ge 15 ] ||
			stop "this release offers PostgreSQL ${offered:-none}, and 15 or newer is needed: add https://wiki.postgresql.org/wiki/Apt, then call again"
		;;
	esac
	say "installing $packages"
	# A run makes private clusters of its own: neither a cluster of the package nor a running service is wanted.
	add_file /usr/sbin/policy-rc.d 755 '#!/bin/sh
exit 101'
	add_file /etc/postgresql-common/createcluster.d/bankstorm-setup.conf 644 'create_main_cluster = false'
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install $packages >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		stop "apt-get install failed; the last lines are above"
	}
	remove_added
	# Where systemd rules, the packages have enabled their services for the next boot.
	if [ -d /run/systemd/system ]; then
		case " $packages" in *" redis-server "*) as_root systemctl -q disable redis-server 2>/dev/null || true ;; esac
	fi
}

brew_install() {
	case $1 in *toolchain*) stop "no C toolchain: run  xcode-select --install" ;; esac
	formulas=$(for word in $1; do
		case $word in
		postgresql) echo postgresql@17 ;;
		redis) echo redis ;;
		java) echo openjdk@17 ;;
		maven) echo maven ;;
		esac
	done | tr '\n' ' ')
	say "brew install $formulas"
	# shellcheck disable=SC2086 # a list of words
	brew install -q $formulas
}

fetch_kafka() {
	mkdir -p "$cache"
	say "fetching the jars of Apache Kafka $kafka_version into $cache/libs"
	draft=$cache/libs.$$
	rm -rf "$draft"
	# Asked twice: one dropped connection should not end a set-up.
	mvn -q -B -Dstyle.color=never -f "$here/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$draft" ||
		mvn -q -B -Dstyle.color=never -f "$here/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$draft" ||
		{
			rm -rf "$draft"
			stop "Maven could not fetch the Kafka jars (its words are above); or unpack Kafka by hand and set KAFKA_HOME"
		}
	# In one step, so that a folder called libs is always complete. Another call may have been faster.
	if kafka_there; then
		rm -rf "$draft"
	else
		rm -rf "$cache/libs"
		mv "$draft" "$cache/libs"
	fi
}

# --- the way through -----------------------------------------------------------------------------------------------------------

have cargo || stop "no cargo: install Rust by https://rustup.rs, then call again"
lacking=$(missing)
if [ -n "$lacking" ]; then
	log=$(mktemp)
	if have apt-get; then
		apt_install "$lacking"
	elif have brew; then
		brew_install "$lacking"
	else
		stop "missing: $(echo "$lacking" | tr '\n' ' ')- neither apt-get nor brew is here. Install: a C and C++ compiler with make, PostgreSQL 15+, Redis, a Java runtime 17+, Maven"
	fi
	rm -f "$log"
	lacking=$(missing)
	[ -z "$lacking" ] || stop "still missing after the installation: $(echo "$lacking" | tr '\n' ' ')"
fi
kafka_there || fetch_kafka
say "everything is there"
