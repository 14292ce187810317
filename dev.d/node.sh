# shellcheck shell=sh disable=SC2154
# `./dev up` and `./dev down`: one node with a sample release rebuilt from its tag.

data=$work/node
# Sourced by ../dev, which sets root, work, images and bin.
listen=127.0.0.1:${PYRSIA_DEV_PORT:-7888}
url=http://$listen
# Sockets of running builds lie here: their paths have at most 108 bytes, so it is not in .dev/.
runtime=${TMPDIR:-/tmp}/pyrsia-dev-$(printf '%s' "$work" | cksum | cut -d ' ' -f 1)
sample=org.pyrsia.samples:greeting-lib:1.0.0
sample_source=https://samples.example/greeting-lib.git

node_cli() { "$bin" --data-dir "$data" --node "$url" "$@"; }

builder_image() { "$bin" --data-dir "$data" --images "$images" images build jdk17; }

# sample_repository NAME: a bare repository of sample-projects/NAME with the tag v1.0.0; the commit is the same everywhere.
sample_repository() {
    repository=$work/sources/$1.git
    [ ! -d "$repository" ] || return 0
    tree=$work/sources/$1.tmp
    rm -rf "$tree"
    mkdir -p "$work/sources"
    cp -R "sample-projects/$1" "$tree"
    rm -rf "$tree/target" "$tree/build" "$tree/.gradle"
    (
        cd "$tree"
        export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
        export GIT_AUTHOR_NAME=Samples GIT_AUTHOR_EMAIL=samples@samples.example GIT_AUTHOR_DATE='2026-01-01T00:00:00Z'
        export GIT_COMMITTER_NAME=Samples GIT_COMMITTER_EMAIL=samples@samples.example GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
        git -c init.defaultBranch=main init -q
        git add -A
        git commit -q -m "$1 1.0.0"
        git tag v1.0.0
        git clone -q --bare . "$repository.tmp"
    )
    mv "$repository.tmp" "$repository"
    rm -rf "$tree"
}

# A node that still runs an older binary is replaced.
start_node() {
    if recorded_process node > /dev/null; then
        if [ -z "$(find "$bin" -newer "$work/node.pid")" ] && node_cli status > /dev/null 2>&1; then
            note "already running at $url"
            return 0
        fi
        stop_process node 20
    fi
    rm -f "$work/node.ready"
    printf '[builder.java]\nruntime_dir = "%s"\n' "$runtime" > "$work/config.toml"
    setsid "$bin" --data-dir "$data" --images "$images" --config "$work/config.toml" node --listen "$listen" --ready-file "$work/node.ready" \
        --source-mirror "https://samples.example/=file://$work/sources/" \
        > "$work/node.log" 2>&1 < /dev/null &
    record_process node $!
    waited=0
    until [ -s "$work/node.ready" ]; do
        if [ $waited -ge 300 ] || ! recorded_process node > /dev/null; then
            tail -n 15 "$work/node.log" >&2
            die "the node did not start (log: $work/node.log)"
        fi
        sleep 0.2
        waited=$((waited + 1))
    done
    note "node at $url, log in .dev/node.log"
}

# verify_sample: 0 the ledger has the verdict, 10 it has none yet. The empty repository keeps ~/.m2 out of it.
verify_sample() { node_cli verify --accept-self --maven-repo "$work/no-local-repository" "$sample"; }

rebuild_sample() {
    code=0
    verify_sample > /dev/null 2>&1 || code=$?
    case $code in
        0)
            note "the ledger already has $sample"
            return 0
            ;;
        10) ;;
        *) verify_sample || die "verify $sample ended with code $code" ;;
    esac
    node_cli namespace grant org.pyrsia.samples --repository "$sample_source"
    code=0
    node_cli build "$sample" --source "$sample_source" --tag v1.0.0 --wait || code=$?
    # 18 is self-verified: this network of one tolerates no liar, and says so.
    [ "$code" -eq 0 ] || [ "$code" -eq 18 ] || die "the rebuild of $sample ended with code $code (log: $work/node.log)"
}

up() {
    [ -n "${PYRSIA_DEV_BIN:-}" ] || step "building the binary" build_binary
    step "making the builder image jdk17" builder_image
    step "making the sample's git repository" sample_repository greeting-lib
    step "starting the node" start_node
    step "rebuilding $sample from its tag" rebuild_sample
    snippets
    say "ready after $(($(date +%s) - started)) s"
}

snippets() {
    cat <<TEXT

The node: $url (pages), $url/maven2/ (Maven repository)

Maven, ~/.m2/settings.xml: what you would get from Maven Central comes through the node.

  <settings>
    <mirrors>
      <mirror>
        <id>pyrsia-maven</id>
        <mirrorOf>central</mirrorOf>
        <url>$url/maven2/</url>
      </mirror>
    </mirrors>
  </settings>

To enforce that nothing comes from anywhere else (this hides other repositories that your projects declare), instead:

        <mirrorOf>*</mirrorOf>

Gradle, build.gradle:

  repositories {
      maven { url '$url/maven2/' }
  }

Verify a release against the ledger:

  ${bin#"$root"/} --node $url verify --accept-self $sample

TEXT
}

down() {
    step "ending the node" stop_process node 30
    rm -f "$work/node.ready"
    step "removing containers" sweep_containers "$runtime"
    rm -rf "$runtime"
    step "ending the Docker engine, if ./dev started it" stop_engine
    left=$(grep -F "$work/" /proc/mounts | cut -d ' ' -f 2 || true)
    for mounted in $left; do
        note "unmounting $mounted"
        as_root umount "$mounted"
    done
    if [ $purge = true ]; then
        cd "$root"
        rm -rf "$work"
    fi
}
