# shellcheck shell=sh disable=SC2154
# Saying what happens and how long it takes; recording processes so that exactly those are ended.

started=$(date +%s)
current_step=

say() { printf '%s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() { printf 'dev: %s\n' "$*" >&2; exit 1; }

# The selection of packages and targets that builds the binary, with the features that `./dev test` gives it: a test is
# among the targets, so cargo unifies the features of what only tests need as well. Else the two would build it in turns.
build_binary() { cargo build --release --locked --workspace --bins --test outcomes; }

# step TEXT COMMAND...: runs it, prints its time; the first failing step ends the script.
step() {
    current_step=$1
    step_started=$(date +%s)
    shift
    printf '==> %s\n' "$current_step"
    "$@"
    printf '    %s: %s s\n' "$current_step" $(($(date +%s) - step_started))
    current_step=
}

finish() {
    code=$?
    trap - EXIT
    if [ "$code" -ne 0 ] && [ -n "$current_step" ]; then
        printf 'dev: failed while: %s (after %s s, exit code %s)\n' \
            "$current_step" $(($(date +%s) - step_started)) "$code" >&2
    fi
    # An engine that a test run had to start ends with it; the one of `up` lives until `down`.
    if [ "$engine_is_ours" = true ] && [ "$command" != up ]; then stop_engine || true; fi
    exit "$code"
}

# The kernel's start time of a process: with it a recorded process id cannot be mistaken for a later process.
start_time() { sed -e 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

record_process() { printf '%s %s\n' "$2" "$(start_time "$2")" > "$work/$1.pid"; }

# recorded_process NAME: prints the id if that very process still runs.
recorded_process() {
    [ -f "$work/$1.pid" ] || return 1
    read -r recorded_id recorded_start < "$work/$1.pid" || return 1
    [ -n "$recorded_start" ] && [ "$(start_time "$recorded_id")" = "$recorded_start" ] || return 1
    printf '%s\n' "$recorded_id"
}

# stop_process NAME SECONDS: asks it to end, insists after SECONDS.
stop_process() {
    if ! process=$(recorded_process "$1"); then
        rm -f "$work/$1.pid"
        return 0
    fi
    as_root_if_needed "$process" kill -TERM "$process"
    waited=0
    while recorded_process "$1" > /dev/null; do
        if [ "$waited" -ge $(($2 * 5)) ]; then
            note "$1 did not end within $2 s: killed"
            as_root_if_needed "$process" kill -KILL "$process"
            sleep 1
            break
        fi
        sleep 0.2
        waited=$((waited + 1))
    done
    rm -f "$work/$1.pid"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

as_root_if_needed() {
    owner=$(stat -c %u "/proc/$1" 2>/dev/null || id -u)
    shift
    if [ "$owner" = "$(id -u)" ]; then "$@"; else as_root "$@"; fi
}
