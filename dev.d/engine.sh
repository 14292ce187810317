# shellcheck shell=sh disable=SC2154
# The Docker engine: found, or started here and then ended by `./dev down`.

engine_is_ours=false

engine_call() { # engine_call METHOD PATH
    case ${DOCKER_HOST:-} in
        '') curl -fsS -m 20 --unix-socket /var/run/docker.sock -X "$1" "http://localhost$2" ;;
        unix://*) curl -fsS -m 20 --unix-socket "${DOCKER_HOST#unix://}" -X "$1" "http://localhost$2" ;;
        tcp://*) curl -fsS -m 20 -X "$1" "http://${DOCKER_HOST#tcp://}$2" ;;
        *) return 1 ;;
    esac
}

engine_answers() { have curl && [ "$(engine_call GET /_ping 2> /dev/null)" = OK ]; }

# An engine that was just installed lets root and a group in that nobody has logged in with yet. This user gets in until the
# engine starts again.
open_socket() {
    socket=/var/run/docker.sock
    if [ -S $socket ] && [ ! -w $socket ]; then as_root setfacl -m "u:$(id -un):rw" $socket; fi
}

require_engine() {
    engine_answers && return 0
    open_socket
    engine_answers && return 0
    [ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST"
    step "starting the Docker engine" start_engine
    engine_is_ours=true
}

start_engine() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
        : > "$work/engine.systemd"
        open_socket
    else
        # A killed engine leaves the id of its containerd behind; the next one would wait for whatever has that id now.
        stale=/var/run/docker/containerd/containerd.pid
        if [ -f $stale ] && [ "$(cat "/proc/$(cat $stale)/comm" 2> /dev/null)" != containerd ]; then
            as_root rm -f $stale
        fi
        as_root setsid dockerd --group "$(id -gn)" --pidfile "$work/engine.own-pid" \
            > "$work/engine.log" 2>&1 < /dev/null &
    fi
    waited=0
    until engine_answers; do
        if [ $waited -ge 60 ]; then
            tail -n 15 "$work/engine.log" >&2 2> /dev/null || true
            die "the Docker engine did not answer within 60 s (log: $work/engine.log)"
        fi
        sleep 1
        waited=$((waited + 1))
    done
    [ ! -f "$work/engine.own-pid" ] || record_process engine "$(cat "$work/engine.own-pid")"
}

stop_engine() {
    if [ -f "$work/engine.systemd" ]; then
        as_root systemctl stop docker.service docker.socket
        rm -f "$work/engine.systemd"
    fi
    stop_process engine 30
}

# The beginning of the names of all containers of nodes with this runtime folder.
container_prefix() {
    printf 'pyrsia-%s-' "$(printf '%s' "$(cd "$1" && pwd -P)" | sha256sum | cut -c 1-12)"
}

# Removes the containers of nodes with this runtime folder: those of a node that could not do it itself.
sweep_containers() {
    [ -d "$1" ] && engine_answers || return 0
    # {"name":["PREFIX"]}
    filters="%7B%22name%22%3A%5B%22$(container_prefix "$1")%22%5D%7D"
    for id in $(engine_call GET "/containers/json?all=1&filters=$filters" | grep -o '"Id":"[0-9a-f]*"' | cut -d '"' -f 4); do
        note "removing container $(printf '%.12s' "$id")"
        engine_call DELETE "/containers/$id?force=1&v=1" > /dev/null || true
    done
}
