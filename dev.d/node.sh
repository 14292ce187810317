# shellcheck shell=sh disable=SC2154
# `./dev up` and `./dev down`: four authorities and a plain node, with a sample release rebuilt from its tag.
# Sourced by ../dev, which sets root, work, images and bin.

# The person's own data directory: keys, and notes about the nodes.
data=$work/user
devnet=$work/devnet
listen=127.0.0.1:${PYRSIA_DEV_PORT:-7888}
url=http://$listen
# Sockets of running builds lie here: their paths have at most 108 bytes, so it is not in .dev/.
runtime=${TMPDIR:-/tmp}/pyrsia-dev-$(printf '%s' "$work" | cksum | cut -d ' ' -f 1)
sample=org.pyrsia.samples:greeting-lib:1.0.0
sample_source=https://samples.example/greeting-lib.git

# cli URL COMMAND...: a command at one of the nodes.
cli() {
    at=$1
    shift
    "$bin" --data-dir "$data" --node "$at" "$@"
}

devnet_cli() { "$bin" --data-dir "$data" --images "$images" --config "$work/config.toml" devnet "$@" --dir "$devnet"; }

# Authorities approve it once it was made again from its packages and came out equal: better before they wait for each other.
builder_image() {
    "$bin" --data-dir "$data" --images "$images" images build jdk17 &&
        "$bin" --data-dir "$data" --images "$images" images verify jdk17
}

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

# Nodes that still run an older binary are replaced; those that run are left alone.
start_devnet() {
    printf '[builder.java]\nruntime_dir = "%s"\n' "$runtime" > "$work/config.toml"
    if [ -f "$devnet/processes.json" ] && [ -n "$(find "$bin" -newer "$devnet/processes.json")" ]; then
        devnet_cli down
    fi
    devnet_cli up --listen "$listen" --source-mirror "https://samples.example/=file://$work/sources/" \
        > "$work/devnet.log" 2>&1 || { cat "$work/devnet.log" >&2; die "the network did not start"; }
    devnet_cli status | tee "$work/devnet.status" | sed 's/^/    /'
    ! grep -q 'not running' "$work/devnet.status" || die "not all nodes run (logs: $devnet/logs)"
}

# The addresses of the authorities.
authorities() { awk '$1 ~ /^a[0-9]+$/ { print $2 }' "$work/devnet.status"; }

# verify_sample: 0 the ledger has the verdict, 10 it has none yet. The empty repository keeps ~/.m2 out of it.
verify_sample() { cli "$url" verify --maven-repo "$work/no-local-repository" "$sample"; }

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
    # Each operator says so at its own authority; here one person is all of them.
    for authority in $(authorities); do
        cli "$authority" namespace grant org.pyrsia.samples --repository "$sample_source"
    done
    cli "$url" build "$sample" --source "$sample_source" --tag v1.0.0 --wait ||
        die "the rebuild of $sample ended with code $? (logs: $devnet/logs)"
}

up() {
    [ -n "${PYRSIA_DEV_BIN:-}" ] || step "building the binary" build_binary
    step "making the builder image jdk17" builder_image
    step "making the sample's git repository" sample_repository greeting-lib
    step "starting four authorities and a plain node" start_devnet
    step "rebuilding $sample from its tag, four times" rebuild_sample
    snippets
    say "ready after $(($(date +%s) - started)) s"
}

snippets() {
    cat <<TEXT

The plain node: $url (pages), $url/maven2/ (Maven repository)

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

  ${bin#"$root"/} --data-dir ${data#"$root"/} --node $url verify $sample

TEXT
}

down() {
    [ ! -f "$devnet/devnet.json" ] || step "ending the nodes" devnet_cli down
    # What a killed node could not remove itself.
    for runtime_of_node in "$runtime"/*; do
        step "removing containers" sweep_containers "$runtime_of_node"
    done
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
