# The two commands of the README are `make run` and `make test`; `make` alone lists all.

# Where rustup puts cargo, also in shells that did not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin
bankstorm := $(or $(CARGO_TARGET_DIR),target)/debug/bankstorm

.DEFAULT_GOAL := help
.PHONY: help setup build run run-containers test nightly lint offline-images image fmt clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

setup: ## install what is missing (PostgreSQL, Redis, Java, Maven, the Kafka jars); nothing when all is there
	@sh deploy/setup.sh

build: setup ## build the bankstorm binary
	cargo build

run: build ## one short run: 300 deposits a second, then verdict and report
	$(bankstorm) run scenarios/smoke.toml

run-containers: build ## the same run in containers; needs an engine that answers `docker info`
	$(bankstorm) run scenarios/smoke.toml --env containers

test: setup ## every test, also those on real PostgreSQL and Kafka
	cargo test --workspace --all-targets

nightly: setup ## what is too long for `make test`: simulated worlds, scripts, every scenario at full length, sweeps; DRY=1 lists it
	@sh deploy/nightly.sh

lint: ## format and clippy; licences and advisories too where cargo-deny is installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
		else echo "cargo-deny is not here, licences and advisories were not checked: cargo install cargo-deny"; fi

offline-images: ## where no image registry is reachable: build stand-ins for the images of --env containers (root)
	@sh deploy/offline/build.sh

image: ## compile the services' image inside a container: bankstorm:source, for BANKSTORM_IMAGE_SERVICES
	docker build -f deploy/Dockerfile -t bankstorm:source .
	@echo "built; to use it: export BANKSTORM_IMAGE_SERVICES=bankstorm:source"

fmt: ## format all code
	cargo fmt --all

clean: ## remove what was built; runs/ stays
	cargo clean
