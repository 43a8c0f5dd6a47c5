# shellcheck shell=bash
# What backup.sh and restore.sh share: the stack's two tables, and reading them to the end.
# Meant to be sourced after common.sh.

# Of one page; DynamoDB ends it at 1 MB, too.
PAGE_ITEMS=1000

# find_tables ENVIRONMENT - sets config_table and state_table to the names in the stack's outputs.
find_tables() {
  local outputs
  outputs=$(stack_outputs "$(stack_name "$1")")
  config_table=$(output_of "$outputs" ConfigTableName)
  state_table=$(output_of "$outputs" StateTableName)
}

table_backup() {
  # shellcheck disable=SC2154 # the script that sources this finds it
  "$python" "$REPOSITORY/scripts/lib/table_backup.py" "$@"
}

# read_tables FOLDER - leaves the pages of both tables there.
read_tables() {
  mkdir "$1/config" "$1/state"
  read_table "$config_table" "$1/config"
  read_table "$state_table" "$1/state"
}

read_table() {
  local number=0 key="" page
  while :; do
    number=$((number + 1))
    page=$(printf '%s/%06d.json' "$2" "$number")
    aws_cli dynamodb scan --table-name "$1" --consistent-read --no-paginate --output json \
      --limit "$PAGE_ITEMS" ${key:+--exclusive-start-key "$key"} >"$page"
    key=$(table_backup next-key "$page")
    if [[ -z "$key" ]]; then
      break
    fi
  done
}

# Prints the execution that holds the lock, if one does.
lock_holder() {
  local holder
  # Said out loud, as bash does not end a substitution's commands at the first that fails.
  holder=$(aws_cli dynamodb get-item --table-name "$state_table" --consistent-read --output text \
    --key '{"pk": {"S": "LOCK"}, "sk": {"S": "LOCK"}}' --query Item.holder.S) || exit 1
  if [[ "$holder" != None ]]; then
    printf '%s\n' "$holder"
  fi
}
