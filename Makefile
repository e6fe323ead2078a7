# `make demo` and `make test` do everything, from a fresh clone, as root or with sudo.
# `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PREFIX ?= /usr/local
VENV := .venv
BIN := $(VENV)/bin
OBJECTS := xdpctl/data/xdpctl.bpf.o xdpctl/data/xdpctl_untyped.bpf.o xdpctl/data/replay.bpf.o netns_lab/data/generator.bpf.o
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -E)

# What Debian and Ubuntu call what is used. llvm has llvm-strip, linux-libc-dev the kernel's headers;
# nsenter, unshare and setpriv are util-linux, which is always there.
BUILD_PACKAGES := libbpf1 libbpf-dev linux-libc-dev clang llvm python3-venv
TEST_PACKAGES := iproute2 ethtool openssh-server openssh-client tmux prometheus fail2ban clang-format tshark $(shell . /etc/os-release; \
  [ "$$ID" = ubuntu ] && echo linux-tools-common linux-tools-$$(uname -r) || echo bpftool)
BENCH_PACKAGES := xdp-tools nftables iptables ipset tshark
KERNEL_PACKAGES := qemu-system-x86 busybox-static kmod debian-archive-keyring
# clang 14 (the oldest newer one where apt has none) and the newest: as a shell says it, since apt
# may have to be updated before it knows.
COMPILER_PACKAGES := $$(apt-cache search --names-only '^clang-[0-9]+$$' | cut -d' ' -f1 | \
  sort -t- -k2n | awk -F- '$$2 >= 14' | sed -n '1p;$$p')

# Without apt, install them by hand and say so: make PACKAGES=installed demo
PACKAGES ?= apt

# Daemons that tests start by themselves, in labs: on the machine they are neither started nor enabled.
DAEMONS := ssh fail2ban prometheus
POLICY := /usr/sbin/policy-rc.d

define install_packages
	@missing=$$(for each in $(1); do \
	  dpkg-query -W -f '$${Status}\n' $$each 2>/dev/null | grep -q ' installed$$' || echo $$each; \
	done); \
	if [ '$(PACKAGES)' = apt ] && [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { \
	    echo 'There is no apt here. Install what Debian calls:' $(1); \
	    echo 'and then: make PACKAGES=installed $(MAKECMDGOALS)'; \
	    exit 1; } >&2; \
	  echo 'installing:' $$missing; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  $(SUDO) apt-get update -qq; \
	  if [ ! -e $(POLICY) ]; then \
	    trap '$(SUDO) rm -f $(POLICY)' EXIT; \
	    printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee $(POLICY) >/dev/null; $(SUDO) chmod 755 $(POLICY); \
	  fi; \
	  before=$$(systemctl list-unit-files --state=enabled --no-legend $(DAEMONS:%=%.service) 2>/dev/null || :); \
	  $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  for daemon in $(DAEMONS); do \
	    case "$$before" in *"$$daemon.service"*) ;; \
	      *) $(SUDO) systemctl disable --quiet $$daemon.service 2>/dev/null || : ;; esac; \
	  done; \
	fi
	@mkdir -p $(@D); touch $@
endef

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: build ## Two hosts, real packets, and what is counted of them; leaves nothing behind.
	@$(SUDO) $(BIN)/python -m netns_lab.demo

.PHONY: example
example: build ## One's own first XDP program, in a lab (examples/first_xdp).
	@$(SUDO) $(BIN)/python examples/first_xdp/in_a_lab.py

# One more than there are CPUs, up to four: tests wait for the kernel now and then.
WORKERS := $(shell n=$$(nproc); echo $$(( n > 2 ? 4 : n + 1 )))

.PHONY: test
test: $(VENV)/.dev build ## All tests, as root, against this kernel.
	@$(SUDO) env XDPCTL_REQUIRE_ROOT=1 $(BIN)/python -m pytest \
	  --numprocesses $(WORKERS) --dist worksteal $(PYTEST_ARGS)

.PHONY: test-compilers
test-compilers: $(VENV)/.dev .cache/.compilers build ## The same verdicts from what clang 14 and the newest clang make.
	@$(BIN)/python -m tests.compilers
	@$(SUDO) env XDPCTL_REQUIRE_ROOT=1 $(BIN)/python -m pytest \
	  tests/kernels/test_compilers.py tests/bpf/test_addresses.py

GUESTS := bookworm trixie

.PHONY: test-kernels
test-kernels: .cache/.kernel-packages .cache/.compilers $(VENV)/.dev build ## The same object on Debian's 6.1 and 6.12 kernels.
	@$(BIN)/python -m tests.compilers
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(addprefix .test-in-,$(GUESTS))

.PHONY: $(addprefix .test-in-,$(GUESTS))
$(addprefix .test-in-,$(GUESTS)): .test-in-%:
	@$(SUDO) $(BIN)/python tests/kernels/boot.py --suite $* -- \
	  $(BIN)/python -m pytest -p no:cacheprovider tests/kernels

MINUTES ?= 5
# Those that take more from a seed than what Hypothesis does.
SEEDED := tests/bpf/test_classifier.py tests/bpf/test_replay.py

# $(1): what is fuzzed, $(2): variables for it.
define fuzz_for_minutes
	@end=$$((SECONDS + 60 * $(MINUTES))); rounds=0; \
	while [ $$SECONDS -lt $$end ]; do \
	  $(SUDO) env XDPCTL_REQUIRE_ROOT=1 $(2) $(BIN)/python -m pytest -q -x \
	    -p no:cacheprovider --hypothesis-profile=fuzz --hypothesis-seed=$$RANDOM $(1); \
	  rounds=$$((rounds + 1)); \
	done; echo "$$rounds rounds, nothing found: $(1)"
endef

.PHONY: fuzz .fuzz-verdicts .fuzz-others
fuzz: $(VENV)/.dev build ## Hypothesis for longer, with new seeds: make fuzz MINUTES=5.
	@$(MAKE) --no-print-directory --jobs=2 .fuzz-verdicts .fuzz-others

.fuzz-verdicts:
	$(call fuzz_for_minutes,$(SEEDED),XDPCTL_FRAMES=4000)

.fuzz-others:
	$(call fuzz_for_minutes,-m hypothesis $(SEEDED:%=--deselect=%) tests)

.PHONY: bench
bench: $(VENV)/.dev build $(BENCH_PACKAGES:%=.cache/.peer-%) ## How fast, next to others; writes docs/performance.md.
	@$(SUDO) $(BIN)/python -m tests.bench --json bench.json $(BENCH_ARGS)
	@$(BIN)/python -m docs.performance bench.json

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy, the walls between modules, clang-format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	clang-format --dry-run --Werror $$(git ls-files 'bpf/*.[ch]' '*.bpf.c')

.PHONY: docs
docs: build ## Write README.md's table of commands and the rules file's JSON Schema anew.
	@$(BIN)/python docs/commands.py
	@$(BIN)/python docs/schema.py

.PHONY: pictures
pictures: build ## Draw README.md's pictures anew from what is to be seen in a lab.
	@$(SUDO) $(BIN)/python -m docs.pictures

.PHONY: build
build: $(OBJECTS) ## Compile the BPF objects into the packages.

$(OBJECTS) &: $(VENV)/.run $(wildcard bpf/*.[ch]) xdpctl/pylibbpf/clang.py
	@$(BIN)/python bpf/hatch_build.py

.PHONY: wheel
wheel: $(VENV)/.run ## A wheel in dist/ that needs no compiler where it is installed.
	@rm -rf dist
	@$(BIN)/pip wheel -qq --no-deps --wheel-dir dist .
	@ls dist/*.whl

.PHONY: install
install: wheel ## Put xdpctl on root's PATH, with completions for bash, zsh and fish.
	@$(PYTHON) -m venv --clear $(PREFIX)/lib/xdpctl
	@$(PREFIX)/lib/xdpctl/bin/pip install -qq dist/xdpctl-*.whl
	@mkdir -p $(PREFIX)/bin $(dir $(COMPLETIONS))
	@ln -sfn ../lib/xdpctl/bin/xdpctl $(PREFIX)/bin/xdpctl
	@_XDPCTL_COMPLETE=bash_source $(PREFIX)/bin/xdpctl > $(word 1,$(COMPLETIONS))
	@_XDPCTL_COMPLETE=zsh_source $(PREFIX)/bin/xdpctl > $(word 2,$(COMPLETIONS))
	@_XDPCTL_COMPLETE=fish_source $(PREFIX)/bin/xdpctl > $(word 3,$(COMPLETIONS))
	@echo "installed: $(PREFIX)/bin/xdpctl ($$($(PREFIX)/bin/xdpctl --version))"

COMPLETIONS := $(addprefix $(PREFIX)/share/,bash-completion/completions/xdpctl \
  zsh/site-functions/_xdpctl fish/vendor_completions.d/xdpctl.fish)

.PHONY: uninstall
uninstall: ## Take away what `make install` put there.
	rm -rf $(PREFIX)/lib/xdpctl $(PREFIX)/bin/xdpctl $(COMPLETIONS)

.PHONY: clean
clean: ## Remove everything that was built or downloaded.
	rm -rf $(VENV) .cache build dist $(OBJECTS) bench.json

# The package itself, editable, with what it needs to run; and what its tests need besides.
$(VENV)/.run: pyproject.toml .cache/.build-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo '$(PYTHON) is older than 3.11: make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --upgrade pip
	@$(BIN)/pip install -qq --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run .cache/.test-packages
	@$(BIN)/pip install -qq --group dev
	@touch $@

.cache/.build-packages:
	$(call install_packages,$(BUILD_PACKAGES))

.cache/.test-packages:
	$(call install_packages,$(TEST_PACKAGES))

.cache/.kernel-packages:
	$(call install_packages,$(KERNEL_PACKAGES))

.cache/.compilers: .cache/.build-packages
	$(call install_packages,$(COMPILER_PACKAGES))

# One by one, and whether or not they can be had: the benchmark says what it could not measure.
.cache/.peer-%:
	-$(call install_packages,$*)
