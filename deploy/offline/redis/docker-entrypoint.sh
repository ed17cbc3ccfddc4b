#!/bin/sh
# Stand-in for docker-entrypoint.sh of the official redis image: options go to redis-server, which runs as user redis in /data.
#
# The official server is compiled with protected-mode off, because ports of a container are opened on purpose; here an argument says so.
set -e

case ${1-} in
-* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . \! -user redis -exec chown redis '{}' +
	exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
fi

# Written files are for redis alone, unless the caller chose otherwise.
[ "$(umask)" != 0022 ] || umask 0077

if [ "${1-}" = redis-server ]; then
	shift
	case ${1-} in
	'' | -*) set -- --protected-mode no "$@" ;;
	*) grep -qs '^[[:space:]]*protected-mode' "$1" || set -- "$@" --protected-mode no ;;
	esac
	# A question for the version or the help takes no settings.
	case " $* " in *" --version "* | *" -v "* | *" --help "* | *" -h "*) shift 2 ;; esac
	set -- redis-server "$@"
fi
exec "$@"
