#!/bin/sh
# Builds stand-ins for the official images where no image registry can be reached: same names, tags and interfaces (README.md here).
#
# In: a Debian or Ubuntu machine with root, a container engine, the machine's own apt settings (mirror, proxy, CA: used on the host,
# written nowhere), the Kafka jars that deploy/setup.sh fetches. Out: the images that were absent; FORCE=1 builds all again, also where
# an official image has the name. `build.sh list` prints the names, and builds nothing.
# Exit 3: something is missing that this script may not or cannot install; it says what. TMPDIR says where to unpack (/var/tmp).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
release=bookworm
kafka_version=4.3.0 # as in deploy/kafka/pom.xml
# As in harness/environment. Those that take longest to need come first.
images="debian:bookworm-slim postgres:15-bookworm apache/kafka:$kafka_version redis:7.0-bookworm"
label=org.bankstorm.stand-in
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
disk_mb_min=2500

say() { printf 'offline-images: %s\n' "$*"; }
stop() {
	printf 'offline-images: %s\n' "$*" >&2
	exit 3
}
have() { command -v "$1" >/dev/null 2>&1; }
present() { docker image inspect "$1" >/dev/null 2>&1; }
seconds() { date +%s; }

# Folders and half-made containers go on every way out. Mounts live in namespaces of their own, which end with the step that made them.
work=""
draft=""
clean_up() {
	[ -z "$draft" ] || docker rm -f -v "$draft" >/dev/null 2>&1 || true
	[ -z "$work" ] || rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# quietly WHAT COMMAND...: its words are shown only when it fails, without the address of the mirror.
quietly() {
	what=$1
	shift
	"$@" >"$work/log" 2>&1 || {
		tail -n 20 "$work/log" | sed "s|$mirror|<mirror>|g; s|$security|<security mirror>|g" >&2
		stop "$what failed; its last words are above"
	}
}

# --- what is there -------------------------------------------------------------------------------------------------------------

missing() {
	for image in $images; do
		[ -z "${FORCE:-}" ] && present "$image" || echo "$image"
	done
}

check_engine() {
	have docker || stop "no docker client: install an engine first, e.g.  apt-get install docker.io"
	docker info >/dev/null 2>&1 ||
		stop "no container engine answers ($(docker info 2>&1 >/dev/null | tail -n 1)): start it, e.g.  service docker start; where one
    runs and refuses you:  sudo make offline-images"
}

check_machine() {
	[ "$(id -u)" = 0 ] || stop "missing: $(missing | tr '\n' ' ')- unpacking a system needs root:  sudo make offline-images"
	have apt-get || stop "no apt-get: stand-ins are built from Debian packages, on Debian or Ubuntu"
	have unshare || stop "no unshare: apt-get install util-linux"
	arch=$(dpkg --print-architecture)
	engine_arch=$(docker version --format '{{.Server.Arch}}')
	[ "$arch" = "$engine_arch" ] || stop "the engine runs $engine_arch and this machine is $arch: build on a machine of the engine's kind"
	find_jars
	if ! { have debootstrap && [ -f $keyring ]; }; then
		say "installing debootstrap"
		apt-get -qq update
		DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
			install debootstrap debian-archive-keyring >/dev/null || stop "apt-get install debootstrap failed; its words are above"
	fi
}

# The jars lie in the cache of whoever called setup; under sudo that is another home. Where there are none, setup fetches them.
find_jars() {
	caller=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
	for libs in "$caller/.cache/bankstorm/kafka-$kafka_version/libs" "${XDG_CACHE_HOME:-$HOME/.cache}/bankstorm/kafka-$kafka_version/libs"; do
		[ ! -f "$libs/kafka_2.13-$kafka_version.jar" ] || return 0
	done
	(unset KAFKA_HOME && sh "$here/../setup.sh")
	[ -f "$libs/kafka_2.13-$kafka_version.jar" ] || stop "no jars of Kafka $kafka_version in $libs, though setup said that all is there"
}

check_disk() {
	for folder in "$temporary" "$(docker info --format '{{.DockerRootDir}}')"; do
		[ -d "$folder" ] || continue # an engine on another machine
		free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
		[ "$free" -ge $disk_mb_min ] || stop "$folder has $free MB left, and $disk_mb_min MB are needed: free some, or set TMPDIR"
	done
}

# The host's own mirror: the first http(s) address that apt uses for this suite, or by its name for another release of Debian.
host_mirror() {
	# shellcheck disable=SC2016 # apt puts these in
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk -v suite="$1" -v name="$2" '
			$1 !~ /^https?:/ || $3 != "main" { next }
			$2 == suite { print $1; found = 1; exit }
			other == "" && $1 ~ ("/" name "/?$") { other = $1 }
			END { if (!found && other != "") print other }' | sed 's|/*$||'
}

# What debootstrap's own downloads need to know of the proxy that apt uses.
host_proxy() {
	[ -z "${http_proxy:-}" ] || return 0
	proxy=$(apt-config shell proxy Acquire::http::Proxy)
	eval "$proxy"
	case ${proxy:-} in http*) export http_proxy="$proxy" ;; esac
}

# --- one system, then a copy with more packages for each image -----------------------------------------------------------------

# apt of the host works on the system in $1: downloads use the host's network, proxy and CA; nothing of them enters the system.
apt_outside() {
	root=$1
	shift
	apt-get -qq -o Dir="$root" -o Dir::State::status="$root/var/lib/dpkg/status" -o Dir::Etc=/etc/apt \
		-o Dir::Etc::sourcelist="$root/etc/apt/sources.list.d/build.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
		-o Acquire::Languages=none -o Acquire::GzipIndexes=false -o APT::Sandbox::User=root -o APT::Install-Recommends=false "$@"
}

# Runs a command inside the system in $1, with /proc, without network or this machine's name, and with no way to leave a process behind.
inside() {
	root=$1
	shift
	# shellcheck disable=SC2016 # the inner shell puts these in
	unshare --mount --uts --net --pid --fork --kill-child sh -c '
		ip link set lo up 2>/dev/null || true
		echo localhost >/proc/sys/kernel/hostname
		mount -t proc proc "$1/proc" && cd / && root=$1 && shift && exec chroot "$root" /usr/bin/env -i \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 "$@"
	' inside "$root" "$@"
}

# change ROOT WORD...: `install PACKAGE...` or `dist-upgrade`, downloaded outside, unpacked inside.
change() {
	system=$1
	shift
	quietly "downloading packages" apt_outside "$system" -y --download-only "$@"
	quietly "apt-get $*" inside "$system" apt-get -qq -y --no-download --no-install-recommends -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-unsafe-io "$@"
	rm -rf "$system"/var/cache/apt/archives/*.deb
}

# shellcheck disable=SC2016 # dpkg-query puts these in
version_of() { inside "$1" dpkg-query -W -f='${Package} ${Version}' "$2"; }

make_base() {
	base=$work/base
	say "unpacking Debian $release"
	quietly debootstrap unshare --mount debootstrap --variant=minbase --arch="$arch" --keyring=$keyring "$release" "$base" "$mirror"
	# As in Debian's slim images: no manuals, no translations, no service starts by itself.
	printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-include /usr/share/doc/*/copyright' 'path-exclude /usr/share/man/*' \
		'path-exclude /usr/share/info/*' 'path-exclude /usr/share/locale/*' 'path-exclude /usr/share/lintian/*' >"$base/etc/dpkg/dpkg.cfg.d/docker"
	printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d"
	chmod 755 "$base/usr/sbin/policy-rc.d"
	rm -f "$base/etc/apt/sources.list" "$base/etc/resolv.conf" "$base/etc/hostname"
	printf '127.0.0.1\tlocalhost\n' >"$base/etc/hosts"
	printf "deb [arch=$arch signed-by=$keyring] %s main\n" "$mirror $release" "$mirror $release-updates" "$security $release-security" \
		>"$base/etc/apt/sources.list.d/build.list"
	quietly "reading package lists" apt_outside "$base" update
	change "$base" dist-upgrade
}

# What neither a container nor a reader of the image needs, and every trace of the machine that built it.
slim() {
	rm -f "$1/etc/apt/sources.list.d/build.list" "$1/etc/apt/sources.list" "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/machine-id"
	printf '%s\n' 'Types: deb' 'URIs: http://deb.debian.org/debian' "Suites: $release $release-updates" 'Components: main' \
		"Signed-By: $keyring" '' 'Types: deb' 'URIs: http://deb.debian.org/debian-security' "Suites: $release-security" \
		'Components: main' "Signed-By: $keyring" >"$1/etc/apt/sources.list.d/debian.sources"
	rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/cache/debconf/*-old "$1"/var/cache/ldconfig/* "$1"/var/lib/dpkg/*-old \
		"$1"/usr/share/man/* "$1"/usr/share/info/* "$1"/usr/share/locale/* "$1"/usr/share/lintian "$1"/usr/share/bug "$1"/tmp/*
	find "$1/usr/share/doc" -type f ! -name copyright -delete
	find "$1/usr/share/doc" -type d -empty -delete
	find "$1/var/log" -type f -delete
}

# --- the images ----------------------------------------------------------------------------------------------------------------

# give IMAGE ROOT MADE_OF CHANGE...: the system in ROOT becomes the image.
give() {
	image=$1 root=$2 made_of=$3
	shift 3
	set -- "$@" "LABEL $label=\"$made_of\""
	# Each word goes from the front to the end, behind its option.
	for word in "$@"; do
		set -- "$@" --change "$word"
		shift
	done
	old=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
	slim "$root"
	rm -f "$work/tar-failed"
	id=$({ tar --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -C "$root" -c . || : >"$work/tar-failed"; } |
		docker import "$@" -) || stop "the engine did not take $image; its words are above"
	[ ! -f "$work/tar-failed" ] || stop "packing $image failed; the words of tar are above"
	if [ -n "${stop_signal:-}" ]; then
		# Older engines know no STOPSIGNAL while importing; a container's own one is kept when it is committed.
		draft=$(docker create --stop-signal "$stop_signal" "$id")
		id=$(docker commit "$draft")
		docker rm -f -v "$draft" >/dev/null
		draft=""
	fi
	docker tag "$id" "$image"
	[ -z "$old" ] || docker image rm "$old" >/dev/null 2>&1 || true # still used by a container, or under another name
	rm -rf --one-file-system "$root"
	size=$(docker image inspect --format '{{.Size}}' "$image")
	say "$image: $((size / 1000000)) MB, $(($(seconds) - began)) s  ($made_of)"
}

copy_base() {
	cp -a --reflink=auto "$base" "$work/$1"
}

make_debian() {
	copy_base debian
	give "$1" "$work/debian" "Debian $release minbase $(cat "$base/etc/debian_version") by debootstrap" 'CMD ["bash"]'
}

make_postgres() {
	copy_base postgres
	root=$work/postgres
	inside "$root" groupadd -r postgres --gid=999
	inside "$root" useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
	change "$root" -o Dpkg::Options::=--force-confold install postgresql-15 locales
	# The official image's default locale; the sources of all others go.
	inside "$root" localedef --no-archive -i en_US -c -f UTF-8 en_US.UTF-8
	# A key that many would share is none; the package made it for its own sample configuration.
	rm -rf "$root"/usr/share/i18n "$root"/etc/ssl/private/* "$root"/etc/ssl/certs/*
	sed -i "s|^#*listen_addresses *=.*|listen_addresses = '*'|" "$root/usr/share/postgresql/15/postgresql.conf.sample"
	mkdir -p "$root/docker-entrypoint-initdb.d"
	inside "$root" install -d -o postgres -g postgres -m 1777 /var/lib/postgresql /var/lib/postgresql/data
	inside "$root" install -d -o postgres -g postgres -m 3777 /run/postgresql
	install -m 755 "$here/postgres/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
	stop_signal=SIGINT
	give "$1" "$root" "Debian $release $(version_of "$root" postgresql-15)" 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]' \
		'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin' 'ENV LANG=en_US.utf8' \
		'ENV PG_MAJOR=15' 'ENV PGDATA=/var/lib/postgresql/data' 'VOLUME /var/lib/postgresql/data' 'EXPOSE 5432'
	stop_signal=""
}

# One start and one orderly end while the image is built: the JVM writes the archives of loaded classes that later starts read.
# shellcheck disable=SC2016 # the shell inside puts these in
kafka_first_start='
	BANKSTORM_WRITE_ARCHIVES=1 /etc/kafka/docker/run >/tmp/first-start 2>&1 &
	broker=$!
	tries=0
	until grep -q "Kafka Server started" /tmp/first-start; do
		tries=$((tries + 1))
		[ $tries -le 600 ] && kill -0 $broker 2>/dev/null || { tail -n 20 /tmp/first-start; exit 1; }
		sleep 0.1
	done
	kill $broker
	tries=0
	while kill -0 $broker 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { kill -9 $broker; tail -n 20 /tmp/first-start; exit 1; }
		sleep 0.1
	done
	ls -l /opt/kafka/kafka.jsa /opt/kafka/storage.jsa
'
make_kafka() {
	copy_base kafka
	root=$work/kafka
	change "$root" install openjdk-17-jre-headless
	inside "$root" useradd --uid 1000 --user-group --create-home --shell /bin/bash appuser
	mkdir -p "$root/opt/kafka/config" "$root/opt/kafka/libs" "$root/opt/kafka/logs" "$root/etc/kafka/docker" "$root/etc/kafka/secrets" \
		"$root/var/lib/kafka/data" "$root/mnt/shared/config"
	cp "$libs"/*.jar "$root/opt/kafka/libs/"
	cp "$here/kafka/run" "$here/kafka/server.properties" "$here/kafka/log4j2.yaml" "$here/kafka/tools-log4j2.yaml" "$root/etc/kafka/docker/"
	chmod 644 "$root"/opt/kafka/libs/*.jar "$root"/etc/kafka/docker/*
	chmod 755 "$root/etc/kafka/docker/run"
	chown -R 1000:1000 "$root/opt/kafka" "$root/etc/kafka" "$root/var/lib/kafka" "$root/mnt/shared/config"
	ln -s "$(basename "$(ls -d "$root"/usr/lib/jvm/java-17-openjdk-*)")" "$root/usr/lib/jvm/default"
	quietly "Kafka's first start" inside "$root" setpriv --reuid=appuser --regid=appuser --clear-groups -- sh -c "$kafka_first_start"
	rm -rf "$root"/tmp/* "$root"/opt/kafka/config/* "$root"/opt/kafka/logs/*
	give "$1" "$root" "Debian $release $(version_of "$root" openjdk-17-jre-headless), Apache Kafka $kafka_version jars of Maven Central" \
		'CMD ["/etc/kafka/docker/run"]' 'USER appuser' 'EXPOSE 9092' 'WORKDIR /' 'ENV JAVA_HOME=/usr/lib/jvm/default' \
		'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/kafka/bin' 'ENV LANG=C.UTF-8' \
		'VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]'
}

make_redis() {
	copy_base redis
	root=$work/redis
	inside "$root" groupadd -r redis --gid=999
	inside "$root" useradd -r -g redis --uid=999 redis
	change "$root" install redis-server
	inside "$root" install -d -o redis -g redis /data
	install -m 755 "$here/redis/docker-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
	give "$1" "$root" "Debian $release $(version_of "$root" redis-server)" 'ENTRYPOINT ["docker-entrypoint.sh"]' \
		'CMD ["redis-server"]' 'VOLUME /data' 'WORKDIR /data' 'EXPOSE 6379' \
		'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
}

# --- the way through -----------------------------------------------------------------------------------------------------------

if [ "${1:-}" = list ]; then
	printf '%s\n' "$images" | tr ' ' '\n'
	exit 0
fi
check_engine
absent=$(missing)
if [ -z "$absent" ]; then
	say "all are there: $images  (FORCE=1 builds them again)"
	exit 0
fi
temporary=${TMPDIR:-/var/tmp}
check_machine
check_disk
started=$(seconds)
work=$(mktemp -d "$temporary/bankstorm-images.XXXXXX")
mirror=$(host_mirror $release debian)
mirror=${mirror:-http://deb.debian.org/debian}
security=$(host_mirror $release-security debian-security)
security=${security:-http://deb.debian.org/debian-security}
host_proxy
make_base
for image in $absent; do
	began=$(seconds)
	case $image in
	debian:*) make_debian "$image" ;;
	postgres:*) make_postgres "$image" ;;
	apache/kafka:*) make_kafka "$image" ;;
	redis:*) make_redis "$image" ;;
	esac
done
say "done in $(($(seconds) - started)) s"
