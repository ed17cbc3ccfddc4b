#!/bin/sh
# Starts a container engine where none runs, and ends exactly that one again. Only .ci/run calls this.
#
# `engine.sh start FOLDER`: with an engine that answers, nothing. Otherwise, as root, docker.io and debootstrap are installed by apt where
# they are absent, and dockerd is started with its pid file and log in FOLDER, a private one. `engine.sh stop FOLDER` ends what that
# call started, and only that; packages and images stay for the next time. Where no engine can be had one line says why, and the exit
# code is 0: container tests are then listed as ignored. Exit 2: called wrongly.
set -eu

start_limit_s=60
stop_limit_s=30

say() { printf 'engine: %s\n' "$*"; }
none() {
	say "no container engine, so container tests will be ignored: $*"
	exit 0
}
have() { command -v "$1" >/dev/null 2>&1; }
answers() { have docker && timeout 10 docker info >/dev/null 2>&1; }

# Keeps freshly installed services from starting by themselves; removed again whatever happens.
policy=/usr/sbin/policy-rc.d
added=""
remove_added() {
	[ -z "$added" ] || rm -f "$added"
	added=""
}
trap remove_added EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What apt said last, without the address of a mirror or proxy.
apt_said() {
	tail -n 1 "$folder/apt.log" |
		sed "s|[a-z][a-z]*://[^ ]*|<address>|g; s|[^ ]*[^ :]:[0-9][0-9]*|<address>|g; s|([0-9a-f.:]*)|(<address>)|g; s|'[^' ]*'|<name>|g"
}

install_engine() {
	have apt-get || none "no dockerd, and no apt-get to install it with"
	say "installing docker.io"
	[ -e $policy ] || {
		added=$policy
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	}
	packages="docker.io debootstrap"
	# From Debian 13 on the client is a package of its own.
	apt-get -qq update >"$folder/apt.log" 2>&1 || none "apt-get update failed ($(apt_said))"
	! apt-cache show docker-cli >/dev/null 2>&1 || packages="$packages docker-cli"
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install $packages >"$folder/apt.log" 2>&1 ||
		none "apt-get install $packages failed ($(apt_said))"
	remove_added
}

start() {
	! answers || return 0
	[ -z "${DOCKER_HOST:-}" ] || none "DOCKER_HOST is $DOCKER_HOST, and nobody answers there"
	[ "$(id -u)" = 0 ] || none "none answers, and only root may start one"
	if ! have dockerd || ! have docker; then install_engine; fi
	# A session of its own, so that Ctrl-C at the terminal does not end it before its containers are cleaned up.
	setsid dockerd --pidfile "$folder/dockerd.pid" >"$folder/dockerd.log" 2>&1 &
	launched=$!
	# dockerd writes its own file seconds later; a stop before that must find it too.
	echo $launched >"$folder/launched.pid"
	begun=$(date +%s)
	until answers; do
		kill -0 $launched 2>/dev/null || none "dockerd ended at once ($(grep -v level=info "$folder/dockerd.log" | tail -n 1))"
		if [ $(($(date +%s) - begun)) -gt $start_limit_s ]; then
			stop
			none "dockerd did not answer within $start_limit_s s ($(grep -v level=info "$folder/dockerd.log" | tail -n 1))"
		fi
		sleep 1
	done
	say "dockerd $(cat "$folder/dockerd.pid") started, its log is $folder/dockerd.log"
}

# ended PID: waits until it is gone; false when it outlives the limit.
ended() {
	tries=0
	while kill -0 "$1" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -le $((stop_limit_s * 10)) ] || return 1
		sleep 0.1
	done
}

stop() {
	engine=$(cat "$folder/dockerd.pid" 2>/dev/null || true)
	engine=${engine:-$(cat "$folder/launched.pid" 2>/dev/null || true)}
	[ -n "$engine" ] || return 0
	# A number may belong to somebody else by now. Before it is dockerd it is this shell's child, or setsid.
	case $({ tr '\0' ' ' <"/proc/$engine/cmdline"; } 2>/dev/null) in *"$folder"*) ;; *) return 0 ;; esac
	# dockerd starts a containerd as its child and ends it; asked for now, because afterwards nobody is its parent.
	helpers=$(ps -o pid= --ppid "$engine" 2>/dev/null || true)
	kill -TERM "$engine" 2>/dev/null || true
	ended "$engine" || kill -KILL "$engine" 2>/dev/null || true
	for helper in $helpers; do
		[ "$(cat "/proc/$helper/comm" 2>/dev/null)" = containerd ] || continue
		kill -TERM "$helper" 2>/dev/null || true
		ended "$helper" || kill -KILL "$helper" 2>/dev/null || true
	done
	rm -f "$folder/dockerd.pid" "$folder/launched.pid"
}

folder=${2:-}
if [ -z "$folder" ] || [ ! -d "$folder" ]; then
	echo "engine: call  engine.sh start|stop FOLDER  with a folder that exists" >&2
	exit 2
fi
case $1 in
start) start ;;
stop) stop ;;
*) echo "engine: $1 is neither start nor stop" >&2 && exit 2 ;;
esac
