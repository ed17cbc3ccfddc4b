#!/bin/sh
# What is too long for `make test`: simulated worlds in two builds, protections taken off, scripts on PostgreSQL and Kafka, every scenario at its
# full length, the sweeps, and some scenarios in containers where an engine answers.
#
# In: the working tree; SEEDS (0..100000), DEV_SEEDS (0..1000), HITS (20), BANKSTORM_SCRIPTS (100000), BANKSTORM_KAFKA_SCRIPTS (1000), for a shorter
# try; ONLY, a word that a part's name must have; DRY=1 lists the parts and runs none. Out: the minutes and the exit code of each part as it ends, a
# table of all at the end, the same in runs/nightly-<when>/nightly.ndjson, the runs themselves beside it; 0 when everything held, else 1. A part that
# fails, or is not done within its limit, ends itself only. Elsewhere: `make test`; publishing (`bankstorm publish`).
set -u

cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-target}
dev=$target/debug/bankstorm
release=$target/release/bankstorm
seeds=${SEEDS:-0..100000}
dev_seeds=${DEV_SEEDS:-0..1000}
hits=${HITS:-20}
only=${ONLY:-}
dry=${DRY:-}
night=runs/nightly-$(date -u +%Y%m%dT%H%M%SZ)
table=""
worst=0
running=""
also_held=0

# What is played in containers too.
in_containers="smoke steady lost-answer late-request database-kill"

say() { printf 'nightly: %s\n' "$*"; }

# Whoever ends the night ends the part that is running; it has a minute to go.
trap '[ -z "$running" ] || kill "$running" 2>/dev/null; say "ended from outside"; exit 130' INT TERM HUP

minutes() { awk -v s="$1" 'BEGIN { printf "%.1f", s / 60 }'; }

# within MINUTES COMMAND...: ends it when it takes longer (exit code 124, or 137 when it did not listen).
within() {
	limit_min=$1
	shift
	timeout -k 60 "${limit_min}m" "$@" &
	running=$!
	wait "$running"
	ended=$?
	running=""
	return "$ended"
}

# note NAME SECONDS CODE WORD: a line of the table and of nightly.ndjson.
note() {
	took=$(minutes "$2")
	table="$table$(printf '%-58s %7s min  %4s  %s' "$1" "$took" "$3" "$4")
"
	printf '{"part":"%s","seconds":%s,"minutes":%s,"exit_code":%s,"outcome":"%s"}\n' "$1" "$2" "$took" "$3" "$4" >>"$night/nightly.ndjson"
}

# wanted NAME: whether a part is asked for.
wanted() {
	case $1 in *"$only"*) return 0 ;; esac
	return 1
}

# part LIMIT NAME COMMAND...: runs it, says how many minutes it took and how it ended, and goes on.
part() {
	limit=$1
	what=$2
	shift 2
	wanted "$what" || return 0
	if [ -n "$dry" ]; then
		printf '%5s min  %s\n' "$limit" "$what"
		return 0
	fi
	begun=$(date +%s)
	code=0
	within "$limit" "$@" || code=$?
	seconds=$(($(date +%s) - begun))
	case $code in
	0) word="held" ;;
	"$also_held") word="held, though not every marker was seen" ;;
	124 | 137) word="NOT DONE within $limit min" ;;
	*) word="FAILED" ;;
	esac
	case $word in held*) ;; *) worst=1 ;; esac
	note "$what" "$seconds" "$code" "$word"
	say "$what: $word after $(minutes "$seconds") min, exit code $code"
}

# left_out NAME WHY
left_out() {
	wanted "$1" || return 0
	if [ -n "$dry" ]; then
		printf '        -  %s (left out: %s)\n' "$1" "$2"
		return 0
	fi
	note "$1" 0 null "left out: $2"
	say "$1: left out: $2"
}

# digest FOLDER: that of the batch which lies there; empty when not all of its seeds were run.
digest() { sed -n 's/^ *"digest": "\([0-9a-f]*\)".*/\1/p' "$1/simulate.json" 2>/dev/null; }

# same WHAT FOLDER FOLDER: a part of its own, which holds when the two digests are one.
same() {
	wanted "$1" || return 0
	[ -z "$dry" ] || return 0
	one=$(digest "$2")
	other=$(digest "$3")
	if [ -n "$one" ] && [ "$one" = "$other" ]; then
		note "$1" 0 0 "held"
		say "$1: both have digest $one"
		return 0
	fi
	worst=1
	note "$1" 0 1 "FAILED"
	say "$1: FAILED: the digests differ: ${one:-none} in $2/simulate.json, ${other:-none} in $3/simulate.json"
}

# few LIMIT NAME COMMAND...: a part of so few seeds that they need not come by every marker (exit code 4); that nothing is violated counts.
few() {
	also_held=4
	part "$@"
	also_held=0
}

# The longest that a scenario may take, in minutes: arms are runs of their own.
limit_of() {
	case $1 in
	million-burst) echo 60 ;;
	*) echo $((10 + 5 * $(grep -c '^\[\[arm\]\]' "scenarios/$1.toml"))) ;;
	esac
}

names() { for file in scenarios/*.toml; do basename "$file" .toml; done; }
is_sweep() { grep -q '^\[sweep\]' "scenarios/$1.toml"; }

worlds() {
	part 90 "simulate $seeds" "$release" simulate --seeds "$seeds" --out "$night/worlds-1"
	part 90 "simulate $seeds, in a second process" "$release" simulate --seeds "$seeds" --out "$night/worlds-2"
	same "simulate $seeds, run twice, same digest" "$night/worlds-1" "$night/worlds-2"
	few 20 "simulate $dev_seeds, release" "$release" simulate --seeds "$dev_seeds" --out "$night/worlds-release"
	few 30 "simulate $dev_seeds, dev" "$dev" simulate --seeds "$dev_seeds" --out "$night/worlds-dev"
	same "simulate $dev_seeds, release and dev, same digest" "$night/worlds-release" "$night/worlds-dev"
	part 60 "ablate, $hits hits" "$release" ablate --seeds 0..4000 --hits "$hits" --out "$night/ablate"
}

scripts() {
	part 240 "scripts on PostgreSQL" env BANKSTORM_SCRIPTS="${BANKSTORM_SCRIPTS:-100000}" \
		cargo test -p bankstorm-adapters --test real -- answers_as_its_model
	part 120 "scripts on Kafka" env BANKSTORM_KAFKA_SCRIPTS="${BANKSTORM_KAFKA_SCRIPTS:-1000}" \
		cargo test -p bankstorm-adapters --test real -- log_scripts
}

scenarios() {
	for name in $(names); do
		is_sweep "$name" || part "$(limit_of "$name")" "scenario $name" \
			"$dev" run "scenarios/$name.toml" --live plain --out "$night/runs"
	done
	for name in $(names); do
		! is_sweep "$name" || part 60 "sweep $name" "$dev" sweep "scenarios/$name.toml" --live plain --out "$night/sweeps"
	done
}

containers() {
	engine=""
	! timeout 10 docker info >/dev/null 2>&1 || engine=yes
	for name in $in_containers; do
		if [ -n "$engine" ]; then
			part "$(limit_of "$name")" "scenario $name, containers" \
				"$dev" run "scenarios/$name.toml" --env containers --live plain --out "$night/runs"
		else
			left_out "scenario $name, containers" "no container engine answers"
		fi
	done
}

if [ -z "$dry" ] && ! command -v timeout >/dev/null 2>&1; then
	say "the command timeout is not here, and a night without limits may never end; it is part of GNU coreutils"
	exit 1
fi
[ -n "$dry" ] || mkdir -p "$night" || exit 1
part 90 "release build" cargo build --release -p bankstorm-cli
part 60 "dev build" cargo build -p bankstorm-cli
# What an older build did says nothing of this tree.
if [ "$worst" -eq 0 ]; then
	worlds
	scripts
	scenarios
	containers
	part 10 "calibrate --proxy" "$release" calibrate --proxy --out "$night/calibrate"
	part 60 "benches" cargo bench -p bankstorm-benches
fi
[ -z "$dry" ] || exit 0
printf '\n%-58s %7s      %4s  %s\n%s' part took code outcome "$table"
if [ "$worst" -eq 0 ]; then say "all held; the same in $night/nightly.ndjson"; else say "NOT all held; the same in $night/nightly.ndjson"; fi
exit "$worst"
