#!/usr/bin/env bash
# Demonstrates a run of the contact sync on this machine, without an AWS account: creates the Python
# environments, starts the local stand-in for AWS, deploys the template, and syncs.
set -euo pipefail

# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

run_in_standin demo "$@"
