#!/usr/bin/env bash
# Runs every check that needs no AWS account: format, lint, types, template, state machine, and
# tests. Installs its requirements. Passes options to pytest.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

usage() {
  cat <<'USAGE'
Usage: scripts/test.sh [--fast] [PYTEST OPTION...]

  scripts/test.sh --fast            format, lint, types, and the tests of tests/unit, tests/adapters
                                    and tests/handlers: about a minute, for every save
  scripts/test.sh                   all static checks and tests
  scripts/test.sh tests/unit        the static checks, then only these tests
USAGE
}

main() {
  if [[ "${1:-}" == "-h" || "${1:-}" == "--help" ]]; then
    usage
    return
  fi
  cd "$REPOSITORY"
  # A terminal in which the demo's stand-in was used has these; tests have endpoints of their own.
  unset "${!AWS_ENDPOINT_URL@}"
  ensure_dev_environment
  if [[ "${1:-}" == "--fast" ]]; then
    shift
    PATH="$REPOSITORY/.venv/bin:$PATH"
    check_python
    pytest -n 2 tests/unit tests/adapters tests/handlers "$@"
    return
  fi
  ensure_standin_environment
  ensure_aws_environment
  ensure_aws_cli_2
  ensure_environment "$REPOSITORY/.build/sam" --group "$REPOSITORY/pyproject.toml:sam"
  ensure_environment "$REPOSITORY/.build/checkov" --group "$REPOSITORY/pyproject.toml:checkov"
  ensure_browser_environment
  ensure_node_modules
  PATH="$REPOSITORY/.venv/bin:$REPOSITORY/.build/sam/bin:$PATH"
  check_statically
  if (($#)); then
    pytest -n 3 --dist loadfile --no-loadscope-reorder "$@"
  else
    # Keep each file's tests together: they share fixtures. Most of the time, they wait.
    pytest --cov -n 3 --dist loadfile --no-loadscope-reorder
  fi
}

# Creates `.build/aws-2`: the AWS CLI 2, which users have. Among registries, only PyPI has it, in a
# Lambda layer for x86-64. On other machines, the tests use the installed one.
ensure_aws_cli_2() {
  local folder="$REPOSITORY/.build/aws-2" package="aws-cdk-asset-awscli-v2==2.0.198"
  local python="$REPOSITORY/.venv/bin/python"
  if [[ "$(uname -sm)" != "Linux x86_64" || "$(cat "$folder/fingerprint" 2>/dev/null)" == "$package" ]]; then
    return
  fi
  log "Installing into .build/aws-2"
  rm -rf "$folder"
  mkdir -p "$folder/bin"
  # Without its dependencies, which are the CDK.
  "$python" -m pip download --quiet --no-deps --dest "$folder/wheel" "$package"
  "$python" -m zipfile -e "$folder"/wheel/*.whl "$folder/wheel"
  tar -xzf "$folder"/wheel/aws_cdk/asset_awscli_v2/_jsii/*.tgz -C "$folder/wheel"
  "$python" -m zipfile -e "$folder/wheel/package/lib/layer.zip" "$folder"
  rm -r "$folder/wheel"
  chmod +x "$folder"/awscli/v2/*/dist/aws
  (cd "$folder/bin" && ln -s ../awscli/v2/*/dist/aws aws)
  printf '%s\n' "$package" >"$folder/fingerprint"
}

# Creates `.build/node`: Node.js, and the npm packages for tests/statemachine and tests/browser.
ensure_node_modules() {
  local folder="$REPOSITORY/.build/node" wanted="tests/package.json"
  ensure_environment "$folder" --group "$REPOSITORY/pyproject.toml:node"
  if cmp -s "$wanted" "$folder/package.json" && [[ -d "$folder/node_modules" ]]; then
    return
  fi
  log "Installing into .build/node what $wanted names"
  cp "$wanted" "$folder/"
  "$folder/bin/npm" install --prefix "$folder" --no-package-lock --no-audit --no-fund --silent ||
    die "npm could not install into $folder"
}

# Installs the browser's driver. The browser is the system's; without one, its tests are skipped.
ensure_browser_environment() {
  ensure_environment "$REPOSITORY/.build/browser" --group "$REPOSITORY/pyproject.toml:browser"
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || [[ -n "${CHROMIUM:-}" ]] ||
    warn "no Chromium: tests/browser is skipped; install it (Debian: chromium), or set CHROMIUM"
}

check_python() {
  ruff format --check .
  ruff check .
  mypy
}

check_statically() {
  check_python
  shellcheck --external-sources scripts/*.sh scripts/lib/*.sh tests/container/*.sh .ci/run
  shfmt -i 2 -d scripts tests/container .ci/run
  cfn-lint template.yaml
  scan_for_security
}

# Scans each stack as CloudFormation resolves it; .checkov.yaml lists exceptions with reasons. Only
# in resolved templates does cfn-lint check the policies: that each action exists, and (I3510) that
# it supports the types of its resources.
scan_for_security() {
  local folder="$REPOSITORY/.build/scanned"
  PYTHONPATH="tests:functions" AWS_DEFAULT_REGION=us-east-1 python -m permissions.scanned "$folder"
  cfn-lint --include-checks I3510 -- "$folder"/*.json
  "$REPOSITORY/.build/checkov/bin/checkov" --config-file .checkov.yaml --directory "$folder"
}

main "$@"
