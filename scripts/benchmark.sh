#!/usr/bin/env bash
# Measures runs of the contact sync against the quotas of the Account API, in the local stand-in
# for AWS, and what they cost. Sets up what it needs; needs no AWS account.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

run_in_standin benchmark "$@"
