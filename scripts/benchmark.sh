#!/usr/bin/env bash
# Measures the time of contact sync runs, against the quotas of the Account API, and their cost, in
# the local stand-in for AWS. Installs its requirements; needs no AWS account.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

run_in_standin benchmark "$@"
