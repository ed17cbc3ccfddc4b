#!/bin/sh
# What is too long for `make test`: the same simulated worlds twice, once more in the dev build, and many scripts on PostgreSQL and Kafka.
#
# In: the working tree; SEEDS (0..100000) and DEV_SEEDS (0..1000), for a shorter try. Out: the minutes of each part; the first part that
# fails ends it with its exit code, two digests that differ with 1. The batches' results stay in runs/nightly-*. Elsewhere: `make test`.
set -eu

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
seeds=${SEEDS:-0..100000}
dev_seeds=${DEV_SEEDS:-0..1000}

say() { printf 'nightly: %s\n' "$*"; }

# part WHAT COMMAND...: runs it and says how many minutes it took.
part() {
	what=$1
	shift
	begun=$(date +%s)
	code=0
	"$@" || code=$?
	minutes=$(awk -v s=$(($(date +%s) - begun)) 'BEGIN { printf "%.1f", s / 60 }')
	if [ "$code" -ne 0 ]; then
		say "$what FAILED after $minutes min, exit code $code"
		exit "$code"
	fi
	say "$what took $minutes min"
}

# digest FOLDER: that of the batch which lies there; empty when not all of its seeds were run.
digest() { sed -n 's/^ *"digest": "\([0-9a-f]*\)".*/\1/p' "$1/simulate.json"; }

# same WHAT FOLDER FOLDER: the two digests are one.
same() {
	one=$(digest "$2")
	other=$(digest "$3")
	if [ -z "$one" ] || [ "$one" != "$other" ]; then
		say "$1 FAILED: the digests differ: ${one:-none} in $2/simulate.json, ${other:-none} in $3/simulate.json"
		exit 1
	fi
	say "$1: both have digest $one"
}

# So few seeds need not come by every marker (exit code 4): only that nothing is violated counts, and the digest.
simulate_few() {
	few=0
	"$@" || few=$?
	[ "$few" -eq 4 ] || return "$few"
}

part "release build" cargo build --release -p bankstorm-cli
part "dev build" cargo build -p bankstorm-cli
part "simulate $seeds" "$target/release/bankstorm" simulate --seeds "$seeds" --out runs/nightly-1
part "simulate $seeds, in a second process" "$target/release/bankstorm" simulate --seeds "$seeds" --out runs/nightly-2
same "$seeds run twice" runs/nightly-1 runs/nightly-2
part "simulate $dev_seeds, release" simulate_few "$target/release/bankstorm" simulate --seeds "$dev_seeds" --out runs/nightly-release
part "simulate $dev_seeds, dev" simulate_few "$target/debug/bankstorm" simulate --seeds "$dev_seeds" --out runs/nightly-dev
same "$dev_seeds in the release and the dev build" runs/nightly-release runs/nightly-dev
part "scripts on PostgreSQL" env BANKSTORM_SCRIPTS="${BANKSTORM_SCRIPTS:-100000}" \
	cargo test -p bankstorm-adapters --test real -- answers_as_its_model
part "scripts on Kafka" env BANKSTORM_KAFKA_SCRIPTS="${BANKSTORM_KAFKA_SCRIPTS:-1000}" \
	cargo test -p bankstorm-adapters --test real -- log_scripts
say "all held"
